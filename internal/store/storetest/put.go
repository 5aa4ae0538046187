package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// testPut runs what store.Sessions promises of writes that bring their id, and
// of how many sessions a user has.
func testPut(t *testing.T, open Open) {
	key := backend.Key{Namespace: "shop", ID: testID(1)}

	t.Run("creates, changes, and does not bring back", func(t *testing.T) {
		f := newRemembering(t, open)
		s := f.sessions(store.Lifetimes{})
		put := func(name string, revive bool) (schema.Session, bool, error) {
			return s.Put(f.ctx(), f.now(), key, store.Update{Change: count(name)}, revive)
		}
		sess, created, err := put("one", false)
		require.NoError(t, err)
		require.True(t, created)
		require.Equal(t, key, sess.Key())
		f.requireStored(sess)

		sess, created, err = put("two", false)
		require.NoError(t, err)
		require.False(t, created)
		f.requireStored(sess)
		assert.Equal(t, map[string]any{"n": 2.0, "one": true, "two": true}, inputs(t, sess))

		require.NoError(t, s.End(f.ctx(), f.now(), key, nil))
		_, _, err = put("late", false)
		require.ErrorIs(t, err, backend.ErrEnded)
		f.requireGone(key)
		sess, created, err = put("again", true)
		require.NoError(t, err)
		require.True(t, created)
		f.requireStored(sess)
		assert.Equal(t, map[string]any{"n": 1.0, "again": true}, inputs(t, sess))
	})

	for _, revive := range []bool{false, true} {
		t.Run(fmt.Sprintf("of a crowd one creates and all take effect, revive %v", revive), func(t *testing.T) {
			f := newRemembering(t, open)
			// Two, as two processes would have: they do not take turns.
			processes := []*store.Sessions{f.sessions(store.Lifetimes{}), f.sessions(store.Lifetimes{})}
			var creators atomic.Int64
			together(crowd, func(i int) {
				_, created, err := processes[i%2].Put(f.ctx(), f.now(), key, store.Update{Change: count("")}, revive)
				assert.NoError(t, err)
				if created {
					creators.Add(1)
				}
			})
			assert.EqualValues(t, 1, creators.Load())
			assert.InDelta(t, crowd, inputs(t, f.get(key))["n"], 0)
		})
	}

	t.Run("a late one does not bring back what is ended", func(t *testing.T) {
		f := newRemembering(t, open)
		for n := range 20 {
			s := f.sessions(store.Lifetimes{})
			key := backend.Key{Namespace: "shop", ID: testID(n)}
			f.created(spec{namespace: key.Namespace, id: key.ID})
			var running sync.WaitGroup
			for range 4 {
				running.Go(func() {
					for {
						_, created, err := s.Put(f.ctx(), f.now(), key, store.Update{Change: count("")}, false)
						assert.False(t, created)
						if errors.Is(err, backend.ErrEnded) {
							return
						}
						if !assert.NoError(t, err) {
							return
						}
					}
				})
			}
			require.NoError(t, s.End(f.ctx(), f.now(), key, nil))
			f.requireGone(key)
			running.Wait()
			f.requireGone(key)
		}
		f.requireEmpty()
	})

	t.Run("a user has no more sessions than the limit", func(t *testing.T) {
		const most = 3
		ada := edit{user: &schema.User{ID: "ada", Roles: []string{}}}
		for name, evict := range map[string]bool{"the oldest go": true, "more are refused": false} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, open)
				s := store.NewSessions(f.Store, &schema.Rules{}, store.Lifetimes{TTL: ttl}, store.UserLimit{Max: most, Evict: evict})
				var stored atomic.Int64
				together(12, func(i int) {
					var err error
					if i%2 == 0 {
						_, err = s.Create(f.ctx(), f.now(), schema.DefaultNamespace, ada, nil)
					} else {
						sess := f.created(spec{})
						_, _, err = s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: ada})
					}
					if err == nil {
						stored.Add(1)
					} else {
						assert.ErrorIs(t, err, store.ErrUserLimit)
					}
				})
				want := 12
				if !evict {
					want = most
				}
				assert.EqualValues(t, want, stored.Load())
				assert.Equal(t, most, f.count(backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"}))
			})
		}
	})
}
