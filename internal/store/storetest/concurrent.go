package storetest

import (
	"errors"
	"fmt"
	"maps"
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

// crowd is how many calls oneOf makes.
const crowd = 32

// oneOf counts, per error, how many of a crowd of concurrent calls returned it.
func oneOf(call func(i int) error, errs ...error) map[error]int {
	var mu sync.Mutex
	counts := map[error]int{}
	together(crowd, func(i int) {
		err := call(i)
		mu.Lock()
		defer mu.Unlock()
		for _, want := range errs {
			if errors.Is(err, want) {
				counts[want]++
				return
			}
		}
		counts[err]++
	})
	return counts
}

func testConcurrent(t *testing.T, open Open) {
	t.Run("no change is lost", func(t *testing.T) {
		f := newFixture(t, open)
		// Two, as two processes would have: they do not take turns.
		processes := []*store.Sessions{f.sessions(store.Lifetimes{}), f.sessions(store.Lifetimes{})}
		sess, err := processes[0].Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		const writers = 64
		changes := soaktest.Times(2, 20)
		together(writers, func(i int) {
			for n := range changes {
				u := store.Update{Change: count(fmt.Sprintf("w%d-%d", i, n)), Slide: true}
				_, _, err := processes[i%2].Update(f.ctx(), f.now(), sess.Key(), u)
				assert.NoError(t, err)
			}
		})
		got := f.get(sess.Key())
		in := inputs(t, got)
		assert.InDelta(t, writers*changes, in["n"], 0)
		for i := range writers {
			for n := range changes {
				assert.Contains(t, in, fmt.Sprintf("w%d-%d", i, n))
			}
		}
		assert.EqualValues(t, 1+writers*changes, got.Revision)
	})

	t.Run("of writers with one revision one succeeds", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		counts := oneOf(func(i int) error {
			_, err := f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: strconv.Itoa(i)}))
			return err
		}, backend.ErrConflict)
		assert.Equal(t, map[error]int{nil: 1, backend.ErrConflict: crowd - 1}, counts)
	})

	t.Run("one creates a key", func(t *testing.T) {
		f := newFixture(t, open)
		counts := oneOf(func(i int) error {
			return f.Create(f.ctx(), f.now(), f.session(spec{id: testID(1), note: strconv.Itoa(i)}))
		}, backend.ErrExists)
		assert.Equal(t, map[error]int{nil: 1, backend.ErrExists: crowd - 1}, counts)
		assert.EqualValues(t, 1, f.stats().Entries)
	})

	t.Run("one ends a session", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		counts := oneOf(func(int) error { return f.Delete(f.ctx(), f.now(), sess.Key(), 0) }, backend.ErrNotFound)
		assert.Equal(t, map[error]int{nil: 1, backend.ErrNotFound: crowd - 1}, counts)
		f.requireEmpty()
	})

	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprintf("one regenerates a session, grace %v", grace), func(t *testing.T) {
			f := newFixture(t, open)
			old := f.created(spec{user: "ada", files: []string{"a"}})
			counts := oneOf(func(int) error {
				return f.Regenerate(f.ctx(), f.now(), old, old.WithID(schema.NewID()), f.now().Add(grace))
			}, backend.ErrNotFound)
			assert.Equal(t, map[error]int{nil: 1, backend.ErrNotFound: crowd - 1}, counts)
			ids := f.all()
			require.Len(t, ids, 1)
			requireGoneOr(f, old.Key(), grace > 0, ids[0])
		})

		t.Run(fmt.Sprintf("one renews a session, grace %v", grace), func(t *testing.T) {
			f := newFixture(t, open)
			s := f.sessions(store.Lifetimes{})
			old := f.created(spec{})
			var makers, readers atomic.Int64
			together(crowd, func(int) {
				next, made, err := s.Renew(f.ctx(), f.now(), old.Key(), grace)
				switch {
				case made:
					makers.Add(1)
					assert.NoError(t, err)
				case err == nil:
					readers.Add(1)
					assert.NotEqual(t, old.ID, next.ID)
				default:
					assert.ErrorIs(t, err, backend.ErrNotFound)
				}
			})
			assert.EqualValues(t, 1, makers.Load())
			if grace > 0 {
				assert.EqualValues(t, crowd-1, readers.Load())
			}
			ids := f.all()
			require.Len(t, ids, 1)
			requireGoneOr(f, old.Key(), grace > 0, ids[0])
		})
	}

	t.Run("what is ended stays ended", func(t *testing.T) { testStaysEnded(t, open) })
	t.Run("what is cleared stays cleared", func(t *testing.T) { testStaysCleared(t, open) })
	t.Run("events are in order", func(t *testing.T) { testEventOrder(t, open) })
	t.Run("events of one key are in order", func(t *testing.T) { testEventsOfOneKey(t, open) })
	t.Run("pages are stable", func(t *testing.T) { testStablePages(t, open) })
	t.Run("a file that stays referred to is always seen", func(t *testing.T) { testSteadyFile(t, open, 0, soaktest.Times(40, 2000)) })
	t.Run("a file that stays referred to beside many is always seen", func(t *testing.T) { testSteadyFile(t, open, 80, soaktest.Times(20, 1000)) })
}

// requireGoneOr checks that the old key leads to the successor, or to nothing.
func requireGoneOr(f *fixture, old backend.Key, leads bool, successor string) {
	f.t.Helper()
	if !leads {
		f.requireGone(old)
		return
	}
	require.Equal(f.t, successor, f.get(old).ID)
}

// testStaysEnded ends a session while others change, touch, read and renew it.
func testStaysEnded(t *testing.T, open Open) {
	f := newFixture(t, open)
	s := f.sessions(store.Lifetimes{})
	busy := map[string]func(key backend.Key) error{
		"update": func(key backend.Key) error {
			_, _, err := s.Update(f.ctx(), f.now(), key, store.Update{Change: count(""), Slide: true})
			return err
		},
		"other process": func(key backend.Key) error {
			cur, err := f.Peek(f.ctx(), f.now(), key)
			if err != nil || cur.ID != key.ID {
				return err
			}
			_, err = f.Swap(f.ctx(), f.now(), cur, f.revised(cur, spec{files: []string{"late"}, user: "ada"}))
			return err
		},
		"extend": func(key backend.Key) error {
			_, err := s.Extend(f.ctx(), f.now().Add(time.Second), key, 0)
			return err
		},
		"ttl": func(key backend.Key) error {
			_, err := s.Extend(f.ctx(), f.now(), key, 2*ttl)
			return err
		},
		"access": func(key backend.Key) error {
			_, _, err := s.Access(f.ctx(), f.now().Add(time.Second), key)
			return err
		},
	}
	renew := func(grace time.Duration) func(key backend.Key) error {
		return func(key backend.Key) error {
			_, _, err := s.Renew(f.ctx(), f.now(), key, grace)
			return err
		}
	}
	for round := range soaktest.Times(15, 600) {
		acts := slices.Collect(maps.Values(busy))
		grace := time.Minute
		switch round % 3 {
		case 1:
			acts = append(acts, renew(grace))
		case 2:
			grace = 0
			acts = append(acts, renew(grace))
		}
		sess := f.created(spec{user: "ada", files: []string{"early"}})
		var running sync.WaitGroup
		ended := make(chan struct{})
		for _, act := range acts {
			running.Go(func() {
				for {
					err := act(sess.Key())
					if errors.Is(err, backend.ErrNotFound) {
						return
					}
					if err != nil && !errors.Is(err, backend.ErrConflict) {
						assert.NoError(t, err)
						return
					}
					select {
					case <-ended: // one more round would be one too many
						_, err := f.Peek(f.ctx(), f.now(), sess.Key())
						assert.ErrorIs(t, err, backend.ErrNotFound)
						return
					default:
					}
				}
			})
		}
		err := s.End(f.ctx(), f.now(), sess.Key(), nil)
		// Renewed without a grace, the session is no longer this key's to end.
		if grace > 0 || err == nil {
			assert.NoError(t, err)
			f.requireGone(sess.Key())
			assert.Empty(t, f.all())
		}
		close(ended)
		running.Wait()
		f.requireGone(sess.Key())
		if err != nil {
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
			require.NoError(t, err)
		}
		f.requireEmpty()
	}
}

// testStaysCleared signs a user out everywhere while the sessions are renewed
// and changed: none may slip through under a new id.
func testStaysCleared(t *testing.T, open Open) {
	f := newFixture(t, open)
	for range soaktest.Times(8, 200) {
		s := f.sessions(store.Lifetimes{})
		var running sync.WaitGroup
		for n := range 8 {
			sess := f.created(spec{user: "ada", id: testID(n)})
			key := sess.Key()
			running.Go(func() {
				for {
					next, _, err := s.Renew(f.ctx(), f.now(), key, time.Duration(n%2)*time.Minute)
					if errors.Is(err, backend.ErrNotFound) {
						return
					}
					if !assert.NoError(t, err) {
						return
					}
					key = next.Key()
				}
			})
		}
		n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
		require.NoError(t, err)
		assert.Equal(t, 8, n)
		assert.Empty(t, f.all())
		running.Wait()
		f.requireEmpty()
	}
}

// testStablePages lists while sessions come and go between those that stay.
func testStablePages(t *testing.T, open Open) {
	f := newFixture(t, open)
	start := f.now()
	var want []string
	many := soaktest.Times(80, 400)
	for n := range many {
		id := testID(10 * n)
		want = append(want, id)
		f.created(spec{id: id, createdAt: start.Add(-time.Duration(n/3) * time.Second)})
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	for worker := 1; worker <= 4; worker++ {
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				n := i * 7 % many
				sess := f.session(spec{id: testID(10*n + worker), createdAt: start.Add(-time.Duration(n/3) * time.Second)})
				if !assert.NoError(t, f.Create(f.ctx(), f.now(), sess)) ||
					!assert.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0)) {
					return
				}
			}
		})
	}
	staying := map[string]bool{}
	for _, id := range want {
		staying[id] = true
	}
	for _, limit := range []int{1, 7, 50, 1000} {
		got := []string{}
		seen := map[string]bool{}
		for _, id := range f.list(backend.Query{Namespace: schema.DefaultNamespace, Limit: limit}) {
			assert.False(t, seen[id], "repeated")
			seen[id] = true
			if staying[id] {
				got = append(got, id)
			}
		}
		assert.Equal(t, want, got)
	}
	close(done)
	running.Wait()
}

// testSteadyFile keeps a reference, beside so many others, through changes and
// renewals.
func testSteadyFile(t *testing.T, open Open, others, changes int) {
	f := newFixture(t, open)
	cur := f.created(spec{files: append(manyFiles("a-once", others), "m-steady")})
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		defer close(done)
		for n := range changes {
			next := f.revised(cur, spec{files: append(manyFiles("z"+strconv.Itoa(n%5), others), "m-steady"), user: "u" + strconv.Itoa(n%3)})
			if _, err := f.Swap(f.ctx(), f.now(), cur, next); !assert.NoError(t, err) {
				return
			}
			cur = next.WithID(schema.NewID())
			if err := f.Regenerate(f.ctx(), f.now(), next, cur, f.now().Add(time.Minute)); !assert.NoError(t, err) {
				return
			}
		}
	})
	for {
		select {
		case <-done:
			running.Wait()
			return
		default:
			require.True(t, f.hasFile("m-steady"))
			require.Contains(t, f.fileSet(), "m-steady")
		}
	}
}
