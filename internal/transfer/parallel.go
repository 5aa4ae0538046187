package transfer

import (
	"context"
	"sync"
	"sync/atomic"
)

// workers is the number of sessions that are stored at once: a remote store batches
// concurrent calls.
const workers = 64

// parallelFor calls do with 0 to n-1, started in that order, several at a time, until
// one returns false or ctx ends. It returns the number of calls, all of which have
// returned.
func parallelFor(ctx context.Context, n int, do func(i int) bool) (begun int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var stopped atomic.Bool
	take := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if begun == n || stopped.Load() || ctx.Err() != nil {
			return 0, false
		}
		begun++
		return begun - 1, true
	}
	for range min(workers, n) {
		all.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if !do(i) {
					stopped.Store(true)
				}
			}
		})
	}
	all.Wait()
	return begun
}

// firstError returns the index of the first error, or len(errs) if there is none.
func firstError(errs []error) int {
	for i, err := range errs {
		if err != nil {
			return i
		}
	}
	return len(errs)
}
