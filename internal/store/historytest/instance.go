package historytest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

// instance is one of a run's stores, which may be replaced.
type instance struct {
	mu    sync.Mutex
	store backend.Store
	// life is how often the store was replaced.
	life int
	// calls are those that are under way in this life.
	calls *sync.WaitGroup
	// open is closed while calls may begin.
	open chan struct{}
}

func newInstance(s backend.Store) *instance {
	in := &instance{store: s, calls: new(sync.WaitGroup), open: make(chan struct{})}
	close(in.open)
	return in
}

// enter waits until there is a store, and returns it. Once leave is called, it
// reports whether the store was still the one that there is.
func (in *instance) enter() (s backend.Store, leave func() bool) {
	for {
		in.mu.Lock()
		open := in.open
		select {
		case <-open:
			life, calls := in.life, in.calls
			calls.Add(1)
			s = in.store
			in.mu.Unlock()
			return s, func() bool {
				defer calls.Done()
				in.mu.Lock()
				defer in.mu.Unlock()
				return in.life == life
			}
		default:
			in.mu.Unlock()
			<-open
		}
	}
}

// replace puts another store in the place of the one that there is. If it
// crashes, that is while calls are under way, whose answers are lost with it;
// otherwise they end first, and the store is closed.
func (in *instance) replace(t testing.TB, crashes bool, next func(old backend.Store) backend.Store) {
	t.Helper()
	in.mu.Lock()
	old, calls := in.store, in.calls
	if crashes {
		in.life++
	}
	in.open, in.calls = make(chan struct{}), new(sync.WaitGroup)
	in.mu.Unlock()

	if !crashes {
		calls.Wait()
		require.NoError(t, old.Close())
	}
	s := next(old)
	in.mu.Lock()
	in.store = s
	close(in.open)
	in.mu.Unlock()
	if crashes {
		calls.Wait()
		require.NoError(t, old.Close())
	}
}
