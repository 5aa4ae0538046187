package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

func testNamespaces(t *testing.T, open Open) {
	// named returns what Namespaces does, which is sorted and names nothing
	// twice.
	named := func(f *fixture) []string {
		f.t.Helper()
		names, err := f.Namespaces(f.ctx(), f.now())
		require.NoError(f.t, err)
		require.Equal(f.t, slices.Compact(slices.Sorted(slices.Values(names))), append([]string(nil), names...))
		return names
	}

	t.Run("all that have a session, and none that never had one", func(t *testing.T) {
		f := newFixture(t, open)
		require.Subset(t, []string{schema.DefaultNamespace}, named(f))
		all := []string{"0", "a", "app", "app-1", schema.DefaultNamespace, "shop", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}
		for n, name := range slices.Backward(all) {
			for range 3*n + 1 {
				f.created(spec{namespace: name, user: "ada"})
			}
			require.Subset(t, named(f), all[n:])
		}
		require.Equal(t, all, named(f))
		for _, name := range named(f) {
			assert.NotEmpty(t, f.list(backend.Query{Namespace: name, Limit: 50}), name)
		}
	})

	t.Run("as long as one session lives", func(t *testing.T) {
		f := newFixture(t, open)
		var sessions []schema.Session
		for range 40 {
			sessions = append(sessions, f.created(spec{namespace: "shop"}))
		}
		for _, sess := range sessions[1:] {
			require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
			require.Contains(t, named(f), "shop")
		}
		f.sweep()
		require.Contains(t, named(f), "shop")
		last := sessions[0]
		next := last.WithID(schema.NewID())
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), last, next, f.now()))
		require.Contains(t, named(f), "shop")
		f.clock.Advance(ttl / 2)
		_, err := f.Touch(f.ctx(), f.now(), next.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		f.clock.Advance(ttl / 2)
		f.sweep()
		require.Contains(t, named(f), "shop")
	})

	t.Run("again after it was empty", func(t *testing.T) {
		f := newFixture(t, open)
		for range 3 {
			sess := f.created(spec{namespace: "shop"})
			require.Contains(t, named(f), "shop")
			require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
			f.sweep()
			named(f)
		}
	})

	t.Run("from the moment that its first session is created", func(t *testing.T) {
		f := newFixture(t, open)
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				for m := range soaktest.Times(4, 10) {
					name := fmt.Sprintf("app-%d-%d", n, m)
					sess := f.session(spec{namespace: name})
					assert.NoError(t, f.Create(f.ctx(), f.now(), sess))
					names, err := f.Namespaces(f.ctx(), f.now())
					assert.NoError(t, err)
					assert.Contains(t, names, name)
				}
			})
		}
		all.Wait()
	})
}
