package store

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"session-api/internal/store/backend"
)

const (
	// manyRefs is the least number of references to files for which a change needs a
	// slot.
	manyRefs = 64
	// indexTimeout bounds the wait for a slot.
	indexTimeout = 5 * time.Second
)

// newIndexSlots returns the semaphore of changes of many references. Stores in a
// file and on Redis spend most of such a change waiting, so there are more slots
// than a small machine has processors.
func newIndexSlots() chan struct{} { return make(chan struct{}, max(4, runtime.GOMAXPROCS(0)-1)) }

// indexed is how many references a change from before to after indexes anew, at
// most; before is nil for what is new.
func indexed(before, after []string) int {
	if slices.Equal(before, after) {
		return 0
	}
	return len(before) + len(after)
}

// indexing makes a change that indexes so many references. With manyRefs or more it
// takes a slot: otherwise clients that change a thousand each time, on as many
// connections as they get, would keep the store from all others. What holds a slot
// waits for the store alone, so there is no deadlock.
func (s *Sessions) indexing(ctx context.Context, refs int, change func() error) error {
	if refs < manyRefs {
		return change()
	}
	select {
	case s.indexSlots <- struct{}{}:
	default:
		tooLong := time.NewTimer(indexTimeout)
		defer tooLong.Stop()
		select {
		case s.indexSlots <- struct{}{}:
		case <-tooLong.C:
			return fmt.Errorf("%w: waiting for other changes of many files", backend.ErrUnavailable)
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for other changes of many files: %w", backend.ErrUnavailable, ctx.Err())
		}
	}
	defer func() { <-s.indexSlots }()
	return change()
}
