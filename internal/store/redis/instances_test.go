package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// together runs n goroutines at once and waits for them.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	wg.Wait()
}

// patch is a change by a merge patch.
func patch(t testing.TB, body string) schema.Change {
	t.Helper()
	change, err := new(schema.Rules).DecodeMergePatch([]byte(body))
	require.NoError(t, err)
	return change
}

func TestWritersOfTwoInstancesLoseNothing(t *testing.T) {
	server := redistest.Start(t)
	clock := ahead()
	now := schema.Now(clock.Now())
	var instances []*store.Sessions
	var sess schema.Session
	for i := range 2 {
		s := open(t, server)
		if i == 0 {
			sess = create(t, s, now, spec{})
		}
		instances = append(instances, store.NewSessions(s, new(schema.Rules), store.Lifetimes{TTL: hour}, store.UserLimit{}))
	}
	const writers, changes = 64, 8
	var bodies [writers][changes]schema.Change
	for i := range writers {
		for n := range changes {
			bodies[i][n] = patch(t, fmt.Sprintf(`{"inputs":{"w%d-%d":true}}`, i, n))
		}
	}
	together(writers, func(i int) {
		for n := range changes {
			_, _, err := instances[i%2].Update(t.Context(), now, sess.Key(), store.Update{Change: bodies[i][n], Slide: true})
			assert.NoError(t, err)
		}
	})
	for _, s := range instances {
		got, err := s.Get(t.Context(), now, sess.Key())
		require.NoError(t, err)
		assert.EqualValues(t, 1+writers*changes, got.Revision)
		for i := range writers {
			for n := range changes {
				assert.Contains(t, document(got), fmt.Sprintf(`"w%d-%d":true`, i, n))
			}
		}
	}
}

func TestOneOfManyRegenerates(t *testing.T) {
	server := redistest.Start(t)
	instances := []*redis.Store{open(t, server), open(t, server)}
	now := schema.Now(ahead().Now())
	for _, grace := range []time.Duration{0, time.Minute} {
		for range 20 {
			old := create(t, instances[0], now, spec{user: "ada", files: []string{"a"}})
			var winner atomic.Pointer[schema.Session]
			together(16, func(i int) {
				next := old.WithID(schema.NewID())
				if err := instances[i%2].Regenerate(t.Context(), now, old, next, now.Add(grace)); err != nil {
					assert.ErrorIs(t, err, backend.ErrNotFound)
					return
				}
				assert.True(t, winner.CompareAndSwap(nil, &next), "the only one")
			})
			require.NotNil(t, winner.Load())
			for _, s := range instances {
				assert.Equal(t, []string{winner.Load().ID}, list(t, s, now, "ada"))
				got, err := s.Get(t.Context(), now, old.Key())
				if grace == 0 {
					require.ErrorIs(t, err, backend.ErrNotFound)
				} else {
					require.NoError(t, err)
					assert.Equal(t, winner.Load().ID, got.ID)
				}
			}
			n, err := instances[0].Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		}
	}
	assert.Zero(t, all(t, raw(t, server)), "losers leave nothing")
}

// What one instance ends, no change, touch or renewal in flight at another
// brings back.
func TestWhatOneInstanceEndsStaysEnded(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server)
	client := raw(t, server)
	now := schema.Now(ahead().Now())
	for round := range 100 {
		sess := create(t, one, now, spec{user: "ada", files: []string{"a"}})
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() {
				cur := sess
				for n := 0; ; n++ {
					next, err := other.Swap(t.Context(), now, cur, revised(t, now, cur, spec{user: "u" + strconv.Itoa(n%2), files: []string{"f" + strconv.Itoa(n%3)}}))
					switch {
					case err == nil:
						cur = next
					case errors.Is(err, backend.ErrConflict):
						if cur, err = other.Peek(t.Context(), now, sess.Key()); err != nil {
							assert.ErrorIs(t, err, backend.ErrNotFound)
							return
						}
					default:
						assert.ErrorIs(t, err, backend.ErrNotFound)
						return
					}
				}
			})
		}
		running.Go(func() {
			for n := time.Duration(0); ; n++ {
				if _, err := other.Touch(t.Context(), now.Add(n), sess.Key(), now.Add(n+hour)); err != nil {
					assert.ErrorIs(t, err, backend.ErrNotFound)
					return
				}
			}
		})
		if round%2 == 0 {
			require.NoError(t, one.Delete(t.Context(), now, sess.Key(), 0))
		} else {
			// Whoever's it is at the moment.
			n, err := one.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		}
		_, err := other.Peek(t.Context(), now, sess.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
		running.Wait()
		_, err = other.Get(t.Context(), now, sess.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
		assert.Empty(t, list(t, other, now, ""))
		assert.Zero(t, all(t, client), "nor does an entry stay")
	}
}

// A reader sees a session wholly before or wholly after a change, although the
// deadline is not part of the document.
func TestReadersSeeNoHalfOfAChange(t *testing.T) {
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprintf("client cache %t", cached), func(t *testing.T) {
			server := redistest.Start(t)
			writer := open(t, server)
			reader := open(t, server, func(o *redis.Options) { o.ClientCache = cached })
			now := schema.Now(ahead().Now())
			lives := []time.Duration{time.Minute, hour}
			sess := create(t, writer, now, spec{ttl: lives[1]})
			key := sess.Key()
			done := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() {
				defer close(done)
				for n := range soaktest.Times(150, 500) {
					next := sess
					next.TTL = lives[n%2]
					next.ExpiresAt = now.Add(next.TTL)
					next = revised(t, now, next, spec{})
					if _, err := writer.Swap(t.Context(), now, sess, next); !assert.NoError(t, err) {
						return
					}
					sess = next
				}
			})
			for range 4 {
				running.Go(func() {
					for {
						got, err := reader.Get(t.Context(), now, key)
						if !assert.NoError(t, err) || !assert.Equal(t, now.Add(got.TTL), got.ExpiresAt) ||
							!assert.Equal(t, lives[got.Revision%2], got.TTL) {
							return
						}
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			running.Wait()
		})
	}
}

// The stored state is told by more than its revision: a later session of the
// same id that has come to the same revision is another.
func TestALaterSessionOfTheSameRevisionIsAnother(t *testing.T) {
	for name, change := range map[string]func(*redis.Options){"plain": func(*redis.Options) {}, "compressed": withCompression} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s, clock := open(t, server, change), ahead()
			now := schema.Now(clock.Now())
			old := create(t, s, now, spec{note: "of the ended session"})
			late := revised(t, now, old, spec{note: "late"})
			require.NoError(t, s.Delete(t.Context(), now, old.Key(), 0))

			now = now.Add(time.Millisecond)
			again := create(t, s, now, spec{id: old.ID, note: "later"})
			require.Equal(t, old.Revision, again.Revision)
			_, err := s.Swap(t.Context(), now, old, late)
			require.ErrorIs(t, err, backend.ErrConflict)
			require.ErrorIs(t, s.Regenerate(t.Context(), now, old, old.WithID(schema.NewID()), now), backend.ErrConflict)
			got, err := s.Get(t.Context(), now, old.Key())
			require.NoError(t, err)
			assert.Equal(t, document(again), document(got))

			// And what looks like a head within the document is none.
			posing := revised(t, now, again, spec{note: document(old), files: []string{`","revision":1,`}})
			_, err = s.Swap(t.Context(), now, again, posing)
			require.NoError(t, err)
			_, err = s.Swap(t.Context(), now, again, posing)
			require.ErrorIs(t, err, backend.ErrConflict)
		})
	}
}

// An instance whose cache has a session learns that another ended it.
func TestEndedSessionsLeaveTheCachesOfOthers(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server, withCache), open(t, server, withCache)
	now := schema.Now(ahead().Now())
	const rounds = 300
	took := make([]time.Duration, 0, rounds)
	for n := range rounds {
		sess := create(t, one, now, spec{user: "ada"})
		for range 2 {
			_, err := other.Get(t.Context(), now, sess.Key())
			require.NoError(t, err)
		}
		switch n % 3 {
		case 0:
			require.NoError(t, one.Delete(t.Context(), now, sess.Key(), 0))
		case 1:
			require.NoError(t, one.Regenerate(t.Context(), now, sess, sess.WithID(schema.NewID()), now))
		case 2:
			_, err := one.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
		}
		ended := time.Now()
		_, err := one.Get(t.Context(), now, sess.Key())
		require.ErrorIs(t, err, backend.ErrNotFound, "who ended it knows at once")
		for err = nil; !errors.Is(err, backend.ErrNotFound); {
			_, err = other.Get(t.Context(), now, sess.Key())
		}
		took = append(took, time.Since(ended))
	}
	slices.Sort(took)
	t.Logf("until another instance knew: median %v, 99th percentile %v, longest %v",
		took[rounds/2], took[rounds*99/100], took[rounds-1])
	soaktest.Within(t, took[rounds-1], time.Second)
}

// Reads from the cache do not go to the server; what another changed does.
func TestTheCacheIsUsed(t *testing.T) {
	server := redistest.Start(t)
	writer := open(t, server)
	proxy := redistest.StartProxy(t, server.Addr())
	reader := openAt(t, proxy.Addr(), withCache)
	now := schema.Now(ahead().Now())
	sess := create(t, writer, now, spec{})
	for range 3 {
		before := server.CLI("INFO", "commandstats")
		for range 100 {
			got, err := reader.Get(t.Context(), now, sess.Key())
			require.NoError(t, err)
			assert.Equal(t, document(sess), document(got))
		}
		assert.LessOrEqual(t, calls(t, server.CLI("INFO", "commandstats"), "get")-calls(t, before, "get"), 1)

		sess = revised(t, now, sess, spec{note: sess.ETag()})
		_, err := writer.Swap(t.Context(), now, mustPeek(t, writer, now, sess.Key()), sess)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			got, err := reader.Get(t.Context(), now, sess.Key())
			return err == nil && document(got) == document(sess)
		}, patience, time.Millisecond)
	}
}

func mustPeek(t testing.TB, s backend.Store, now time.Time, key backend.Key) schema.Session {
	t.Helper()
	sess, err := s.Peek(t.Context(), now, key)
	require.NoError(t, err)
	return sess
}

// A change of one instance is what that instance reads from then on, whether
// its cache has heard of it or not.
func TestOwnChangesAreSeenAtOnce(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server, withCache)
	now := schema.Now(ahead().Now())
	together(8, func(int) {
		sess := create(t, s, now, spec{})
		for range 200 {
			next := revised(t, now, sess, spec{note: sess.ETag()})
			_, err := s.Swap(t.Context(), now, sess, next)
			if !assert.NoError(t, err) {
				return
			}
			got, err := s.Get(t.Context(), now, sess.Key())
			if !assert.NoError(t, err) || !assert.Equal(t, next.Revision, got.Revision) {
				return
			}
			sess = next
		}
	})
}
