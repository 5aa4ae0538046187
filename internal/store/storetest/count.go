package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

func (f *fixture) count(filter backend.Filter) int {
	f.t.Helper()
	n, err := f.Count(f.ctx(), f.now(), filter)
	require.NoError(f.t, err)
	return n
}

func testCount(t *testing.T, open Open) {
	t.Run("what is there now", func(t *testing.T) {
		f := newFixture(t, open)
		all := backend.Filter{Namespace: schema.DefaultNamespace}
		ada := backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"}
		bob := backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"}
		check := func(what string, wantAll, wantAda, wantBob int) {
			t.Helper()
			assert.Equal(t, []int{wantAll, wantAda, wantBob}, []int{f.count(all), f.count(ada), f.count(bob)}, what)
		}
		sess := f.created(spec{user: "ada"})
		brief := f.created(spec{user: "ada", ttl: time.Minute})
		check("Create", 2, 2, 0)
		changed := f.revised(sess, spec{user: "bob"})
		_, err := f.Swap(f.ctx(), f.now(), sess, changed)
		require.NoError(t, err)
		check("another user", 2, 1, 1)
		next := f.regenerated(changed, 2*ttl)
		check("Regenerate", 2, 1, 1)
		except := func(id string) backend.Filter { return backend.Filter{Namespace: schema.DefaultNamespace, Except: id} }
		assert.Equal(t, 1, f.count(except(next.ID)))
		assert.Equal(t, 2, f.count(except(sess.ID)), "an old key is no session")

		f.clock.Advance(time.Minute - time.Millisecond)
		check("just before it expires", 2, 1, 1)
		f.clock.Advance(time.Millisecond)
		check("expired", 1, 0, 1)
		assert.Equal(t, 1, f.count(except(brief.ID)), "expired")
		f.sweep()
		check("swept", 1, 0, 1)
		require.NoError(t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		check("Delete", 0, 0, 0)
		f.requireEmpty()
	})

	t.Run("is no use and counts as nothing", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{user: "ada"})
		before := f.stats()
		f.count(backend.Filter{Namespace: schema.DefaultNamespace, Except: testID(0)})
		f.count(backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
		assert.Equal(t, before, f.stats())
	})

	t.Run("as at some moment, while others come and go", func(t *testing.T) {
		f := newFixture(t, open)
		const staying, coming = 50, 4
		for n := range staying {
			f.created(spec{id: testID(n), user: "ada"})
		}
		done := make(chan struct{})
		var running sync.WaitGroup
		for n := range coming {
			running.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					sess := f.session(spec{id: testID(staying + n), user: "ada"})
					if !assert.NoError(t, f.Create(f.ctx(), f.now(), sess)) ||
						!assert.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0)) {
						return
					}
				}
			})
		}
		for range soaktest.Times(8, 200) {
			for _, filter := range []backend.Filter{
				{},
				{UserID: "ada"},
				{Except: testID(staying)}, // one that comes and goes
				{UserID: "ada", Except: testID(staying)},
			} {
				filter.Namespace = schema.DefaultNamespace
				most := staying + coming
				if filter.Except != "" {
					most--
				}
				n := f.count(filter)
				assert.GreaterOrEqual(t, n, staying)
				assert.LessOrEqual(t, n, most)
			}
		}
		close(done)
		running.Wait()
	})

	t.Run("never a part for the whole", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{})
		over, cancel := context.WithCancel(f.ctx())
		cancel()
		n, err := f.Count(over, f.now(), backend.Filter{Namespace: schema.DefaultNamespace})
		if err == nil {
			assert.Equal(t, 1, n)
		}
	})
}
