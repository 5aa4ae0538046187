package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"session-api/internal/store/backend"
)

// maxConflicts bounds how often a change is tried again: far beyond what any
// number of instances cause, so that reaching it means a broken store.
const maxConflicts = 200

// pause waits a little before the next try, longer as they add up.
func pause(ctx context.Context, try int) error {
	if try >= maxConflicts {
		return fmt.Errorf("%w: %d conflicts in a row", backend.ErrUnavailable, try)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: between two tries: %w", backend.ErrUnavailable, err)
	}
	if try < 3 {
		return nil
	}
	t := time.NewTimer(rand.N(time.Duration(min(try, 20)) * time.Millisecond)) //nolint:gosec // spreads retries, guards nothing
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: between two tries: %w", backend.ErrUnavailable, ctx.Err())
	case <-t.C:
		return nil
	}
}
