package store

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

const (
	// manyRefs is how many references to files a change that waits for its turn
	// indexes, at least.
	manyRefs = 64
	// indexPatience is how long it waits.
	indexPatience = 5 * time.Second
)

// newIndexTurns returns room for the changes of many references that are in work
// at once. Stores in a file and on Redis spend most of such a change waiting, so
// there are some more than processors on a small machine.
func newIndexTurns() chan struct{} { return make(chan struct{}, max(4, runtime.GOMAXPROCS(0)-1)) }

// indexed is how many references a change from before to after indexes anew, at
// most; before is nil for what is new.
func indexed(before, after []string) int {
	if slices.Equal(before, after) {
		return 0
	}
	return len(before) + len(after)
}

// indexing makes a change that indexes so many references, when it is its turn if
// they are many: otherwise those who change a thousand each time, on as many
// connections as they get, would keep the store from all others. Nothing else is
// waited for meanwhile than the store, so nobody waits in a circle.
func (s *Sessions) indexing(ctx context.Context, refs int, change func() error) error {
	if refs < manyRefs {
		return change()
	}
	select {
	case s.indexTurns <- struct{}{}:
	default:
		tooLong := time.NewTimer(indexPatience)
		defer tooLong.Stop()
		select {
		case s.indexTurns <- struct{}{}:
		case <-tooLong.C:
			return fmt.Errorf("%w: waiting for other changes of many files", ErrUnavailable)
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for other changes of many files: %w", ErrUnavailable, ctx.Err())
		}
	}
	defer func() { <-s.indexTurns }()
	return change()
}
