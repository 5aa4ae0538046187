package main

import (
	"context"
	"log/slog"
)

// reservedDescriptors are the file descriptors that the service needs besides
// one a connection: those that wait for room, the listener, the log, the data file, the pool of
// connections to Redis, directories that the cleanup reads, and those that are
// open for a moment only.
const reservedDescriptors = 128

// fitDescriptors makes room for as many descriptors as MAX_CONNECTIONS needs,
// or lowers it to what there is room for: a process without descriptors
// accepts nobody, while one that is full still serves those whom it has.
func fitDescriptors(ctx context.Context, c *config, logger *slog.Logger) {
	limit, err := raiseDescriptors(uint64(c.MaxConnections) + reservedDescriptors) //nolint:gosec // it is 1 to 10,000,000
	if err != nil {
		logger.WarnContext(ctx, "the limit on open files (RLIMIT_NOFILE) cannot be read", "error", err)
		return
	}
	if fits := connectionsWithin(limit); fits < c.MaxConnections {
		logger.WarnContext(ctx, "MAX_CONNECTIONS lowered: the limit on open files (RLIMIT_NOFILE, ulimit -n) allows no more",
			"from", c.MaxConnections, "to", fits, "openFiles", limit)
		c.MaxConnections = fits
	}
}

// connectionsWithin returns how many connections fit into a limit on open
// files: all but the reserve, or half of a limit that is not much larger.
func connectionsWithin(limit uint64) int {
	const plenty = 1 << 31
	limit = min(limit, plenty)
	return int(max(1, limit-min(limit/2, reservedDescriptors)))
}
