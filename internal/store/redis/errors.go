package redis

import (
	"errors"
	"fmt"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// failed wraps an error of the server, or of the way to it, in what it means
// for the store. nil stays nil.
func failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case conn.Answered(err, "OOM "):
		// Out of memory under the policy noeviction.
		return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrFull, err)
	case errors.Is(err, format.ErrNotSession), errors.Is(err, format.ErrCompressed), conn.Answered(err, "FOREIGN "):
		return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrDamaged, err)
	case errors.Is(err, conn.ErrUnconfirmed):
		return &backend.UnreadyError{Reason: unconfirmedReason, Err: fmt.Errorf("redis: %s: %w", doing, err)}
	}
	return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrUnavailable, err)
}

// unconfirmedReason is what the caller is told of a change that too few replicas
// confirmed.
const unconfirmedReason = "The outcome is unknown: the change was made, but too few Redis replicas confirmed it in time, so a failover may lose it. Read the session again."

// outcomeUnknown reports whether an operation may have been done in spite of its error:
// whether its answer was lost. A script that answers with an error has changed
// nothing.
func outcomeUnknown(err error) bool {
	return errors.Is(err, backend.ErrUnavailable) && !conn.IsAnswer(err) && !errors.Is(err, errNotBegun) && !errors.Is(err, conn.ErrNotSent)
}

// errNotBegun: the server was not asked at all.
var errNotBegun = errors.New("waiting for other changes of the session")
