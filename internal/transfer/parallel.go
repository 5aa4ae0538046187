package transfer

import (
	"context"
	"sync"
	"sync/atomic"
)

// workers is how many sessions are handled at once: a store on another machine
// takes them together.
const workers = 64

// inParallel calls do with 0 to n-1, in that order, several at once, until one
// returns false or ctx ends. It returns up to where it came: do was called for
// all below, and has returned.
func inParallel(ctx context.Context, n int, do func(i int) bool) (begun int) {
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

// firstError is the index of the first error; where there is none, the length.
func firstError(errs []error) int {
	for i, err := range errs {
		if err != nil {
			return i
		}
	}
	return len(errs)
}
