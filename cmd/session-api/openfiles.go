package main

import (
	"context"
	"log/slog"

	"session-api/internal/config"
	"session-api/internal/httpserver"
)

// raiseOpenFiles makes room for as many open files as MAX_CONNECTIONS needs, or
// lowers it to what there is room for.
func raiseOpenFiles(ctx context.Context, c *config.Config, logger *slog.Logger) {
	fit, limit, err := httpserver.RaiseOpenFiles(c.HTTP.MaxConnections)
	if err != nil {
		logger.WarnContext(ctx, "the limit on open files (RLIMIT_NOFILE) cannot be read", "error", err)
		return
	}
	if fit < c.HTTP.MaxConnections {
		logger.WarnContext(ctx, "MAX_CONNECTIONS lowered: the limit on open files (RLIMIT_NOFILE, ulimit -n) allows no more",
			"from", c.HTTP.MaxConnections, "to", fit, "openFiles", limit)
		c.HTTP.MaxConnections = fit
	}
}
