package storetest

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

func testConcurrentEviction(t *testing.T, open Open) {
	t.Run("the least recently used go, however many come at once", func(t *testing.T) {
		news := soaktest.Times(120, 1000)
		size := 3 * news
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: size})
		sessions := f.fill(size)
		// Everything but a third of them, picked all over, is used, by many
		// at once; goroutines go on using some of those while new ones come.
		idle := func(n int) bool { return n*7%size < news }
		together(8, func(worker int) {
			for n := worker; n < size; n += 8 {
				if !idle(n) {
					f.get(sessions[n].Key())
				}
			}
		})
		var coming atomic.Int64
		coming.Store(4)
		together(8, func(worker int) {
			if worker >= 4 {
				for n := worker; coming.Load() > 0; n = (n + 8) % size {
					if !idle(n) {
						_, err := f.Get(f.ctx(), f.now(), sessions[n].Key())
						assert.NoError(t, err)
					}
				}
				return
			}
			defer coming.Add(-1)
			for n := worker; n < news; n += 4 {
				assert.NoError(t, f.Create(f.ctx(), f.now(), f.session(spec{id: testID(size + n)})))
				st, err := f.Stats(f.ctx(), f.now())
				assert.NoError(t, err)
				assert.LessOrEqual(t, st.Entries, int64(size))
			}
		})
		want := []int{}
		for n := range size {
			if !idle(n) {
				want = append(want, n)
			}
		}
		assert.Equal(t, want, f.left(sessions))
		assert.EqualValues(t, news, f.stats().Evictions)
	})

	for _, policy := range []string{"lru", "ttl", "none"} {
		t.Run("no limit is ever exceeded: "+policy, func(t *testing.T) {
			unit := costOf(t, open)(newFixture(t, open).session(spec{}))
			limits := Limits{Policy: policy, MaxEntries: 40, MaxBytes: 30 * unit}
			f := newLimited(t, open, limits)
			within := func() {
				st, err := f.Stats(f.ctx(), f.now())
				assert.NoError(t, err)
				assert.LessOrEqual(t, st.Entries, int64(limits.MaxEntries))
				assert.LessOrEqual(t, st.Bytes, limits.MaxBytes)
			}
			together(8, func(worker int) {
				for n := range soaktest.Times(40, 200) {
					sess := f.session(spec{id: testID(1000*worker + n), ttl: time.Duration(1+n%7) * time.Second, files: []string{strconv.Itoa(n % 9)}})
					if err := f.Create(f.ctx(), f.now(), sess); err != nil {
						assert.ErrorIs(t, err, backend.ErrFull)
						if policy != "none" {
							assert.NoError(t, err)
						}
					}
					within()
					if cur, err := f.Get(f.ctx(), f.now(), sess.Key()); err == nil {
						next := f.revised(cur, spec{note: string(slices.Repeat([]byte("y"), n*5))})
						_, err := f.Swap(f.ctx(), f.now(), cur, next)
						acceptable(t, err)
						acceptable(t, f.Regenerate(f.ctx(), f.now(), next, next.WithID(schema.NewID()), f.now().Add(time.Second)))
						within()
					}
					if n%10 == 0 {
						_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace})
						assert.NoError(t, err)
					}
				}
			})
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
			f.requireEmpty()
		})
	}
}

// acceptable checks the outcome of a change that others were in the way of.
func acceptable(t *testing.T, err error) {
	t.Helper()
	for _, fine := range []error{nil, backend.ErrNotFound, backend.ErrConflict, backend.ErrFull} {
		if errors.Is(err, fine) {
			return
		}
	}
	assert.NoError(t, err)
}
