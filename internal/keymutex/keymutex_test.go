package keymutex_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/keymutex"
)

func TestLock_excludes(t *testing.T) {
	m := keymutex.New[string]()
	counts := map[string]*int{"a": new(int), "b": new(int), "c": new(int)}
	const goroutines, rounds = 8, 500
	var all sync.WaitGroup
	for key, n := range counts {
		for range goroutines {
			all.Go(func() {
				for range rounds {
					held, err := m.Lock(t.Context(), key)
					if !assert.NoError(t, err) {
						return
					}
					*n++ // the race detector watches
					held.Unlock()
				}
			})
		}
	}
	all.Wait()
	for key, n := range counts {
		assert.Equal(t, goroutines*rounds, *n, key)
	}
}

func TestLock_waitsForItsKeyAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := keymutex.New[int]()
		first, err := m.Lock(t.Context(), 0)
		require.NoError(t, err)
		locked := make(chan struct{})
		go func() {
			held, err := m.Lock(t.Context(), 0)
			assert.NoError(t, err)
			close(locked)
			held.Unlock()
		}()
		for key := 1; key <= 1000; key++ { // more than there are shards
			_, err := m.Lock(t.Context(), key) // and all of them stay locked
			require.NoError(t, err)
		}
		synctest.Wait()
		select {
		case <-locked:
			t.Fatal("two goroutines have locked one key")
		default:
		}
		go first.Unlock() // another goroutine than the one that has locked it
		<-locked
	})
}

func TestLock_contextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := keymutex.New[string]()
		held, err := m.Lock(t.Context(), "a")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = m.Lock(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		held.Unlock()
		held, err = m.Lock(t.Context(), "a")
		require.NoError(t, err, "who gave up holds nothing")
		held.Unlock()
		held, err = m.Lock(ctx, "a")
		require.NoError(t, err, "a key that is free is not waited for")
		held.Unlock()
	})
}

// A key that is locked over and over allocates nothing.
func TestLock_allocs(t *testing.T) {
	m := keymutex.New[string]()
	lock := func() {
		held, err := m.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		held.Unlock()
	}
	lock()
	assert.Less(t, testing.AllocsPerRun(1000, lock), 0.5, "a pool may be emptied now and then")
}
