package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

var bob = &schema.User{ID: "bob", Roles: []string{}}

// createdAfter creates a session some time after the start.
func (b *bench) createdAfter(after time.Duration, p patch) schema.Session {
	b.t.Helper()
	sess, err := b.Create(b.t.Context(), start.Add(after), schema.DefaultNamespace, p, nil)
	require.NoError(b.t, err)
	return sess
}

// ofAda returns the ids of one user's sessions, newest first.
func (b *bench) ofAda() []string {
	b.t.Helper()
	page, err := b.List(b.t.Context(), start, backend.Query{Namespace: schema.DefaultNamespace, UserID: admin.ID, Limit: 100})
	require.NoError(b.t, err)
	ids := []string{}
	for i := range page.Sessions {
		ids = append(ids, page.Sessions[i].ID)
	}
	return ids
}

func ids(sessions ...schema.Session) []string {
	out := []string{}
	for i := range sessions {
		out = append(out, sessions[i].ID)
	}
	return out
}

func TestUserLimit(t *testing.T) {
	two := func(t *testing.T, evict bool) (b *bench, older, newer schema.Session) {
		t.Helper()
		b = newLimitedBench(t, store.Lifetimes{}, store.UserLimit{Max: 2, Evict: evict})
		older = b.createdAfter(0, patch{user: admin})
		newer = b.createdAfter(time.Second, patch{user: admin})
		return b, older, newer
	}
	asAda := store.Update{Change: patch{user: admin}}

	t.Run("the oldest goes", func(t *testing.T) {
		b, older, newer := two(t, true)
		third := b.createdAfter(2*time.Second, patch{user: admin})
		assert.Equal(t, ids(third, newer), b.ofAda())
		b.requireGone(older.Key())
		require.ErrorIs(t, b.store.Create(t.Context(), start, older), backend.ErrEnded, "as if its user had ended it")
	})

	t.Run("the one that was used longest ago goes, not the oldest", func(t *testing.T) {
		for name, use := range map[string]func(b *bench, older schema.Session){
			"read": func(b *bench, older schema.Session) {
				_, moved, err := b.Access(b.t.Context(), start.Add(2*time.Second), older.Key())
				require.NoError(b.t, err)
				require.True(b.t, moved)
			},
			"changed": func(b *bench, older schema.Session) {
				b.update(2*time.Second, older.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			},
			"touched": func(b *bench, older schema.Session) {
				_, err := b.Extend(b.t.Context(), start.Add(2*time.Second), older.Key(), 0)
				require.NoError(b.t, err)
			},
			"given a shorter life": func(b *bench, older schema.Session) {
				_, err := b.Extend(b.t.Context(), start.Add(2*time.Second), older.Key(), time.Minute)
				require.NoError(b.t, err)
			},
		} {
			t.Run(name, func(t *testing.T) {
				b, older, newer := two(t, true)
				use(b, older)
				third := b.createdAfter(3*time.Second, patch{user: admin})
				assert.Equal(t, ids(third, older), b.ofAda())
				b.requireGone(newer.Key())
			})
		}
	})

	t.Run("one more is refused", func(t *testing.T) {
		b, older, newer := two(t, false)
		_, err := b.Create(t.Context(), start, schema.DefaultNamespace, patch{user: admin}, nil)
		require.ErrorIs(t, err, store.ErrUserLimit)
		_, _, err = b.Put(t.Context(), start, backend.Key{Namespace: schema.DefaultNamespace, ID: ownKey.ID}, asAda, true)
		require.ErrorIs(t, err, store.ErrUserLimit)
		assert.ElementsMatch(t, ids(newer, older), b.ofAda())
		require.NoError(t, b.End(t.Context(), start, older.Key(), nil))
		third := b.created(patch{user: admin})
		assert.ElementsMatch(t, ids(third, newer), b.ofAda())
	})

	for name, from := range map[string]*schema.User{"nobody's": nil, "another's": bob} {
		t.Run("a session of "+name+" that becomes the user's counts", func(t *testing.T) {
			b, older, newer := two(t, true)
			sess := b.createdAfter(2*time.Second, patch{user: from})
			next, _, err := b.Update(t.Context(), start, sess.Key(), asAda)
			require.NoError(t, err)
			b.requireStored(next)
			assert.Equal(t, ids(sess, newer), b.ofAda())
			b.requireGone(older.Key())

			b, older, newer = two(t, false)
			sess = b.createdAfter(2*time.Second, patch{user: from})
			_, _, err = b.Update(t.Context(), start, sess.Key(), asAda)
			require.ErrorIs(t, err, store.ErrUserLimit)
			b.requireStored(sess)
			assert.Equal(t, ids(newer, older), b.ofAda())
		})
	}

	t.Run("nothing else does", func(t *testing.T) {
		b, older, newer := two(t, false)
		b.created(patch{})
		b.created(patch{user: bob})
		_, err := b.Create(t.Context(), start, "shop", patch{user: admin}, nil)
		require.NoError(t, err, "another namespace")
		older, _ = b.update(0, older.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
		older, _, err = b.Renew(t.Context(), start, older.Key(), 0)
		require.NoError(t, err)
		_, err = b.Extend(t.Context(), start, newer.Key(), time.Minute)
		require.NoError(t, err)
		assert.ElementsMatch(t, ids(older, newer), b.ofAda())
	})

	t.Run("a change of a user's session is none more, even beyond a limit that was lowered", func(t *testing.T) {
		for _, evict := range []bool{true, false} {
			b, older, newer := two(t, evict)
			s := store.NewSessions(b.store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{Max: 1, Evict: evict})
			_, _, err := s.Update(t.Context(), start, older.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			require.NoError(t, err)
			assert.Equal(t, ids(newer, older), b.ofAda())
		}
	})

	t.Run("an expired session does not count", func(t *testing.T) {
		b, _, _ := two(t, false)
		_, err := b.Create(t.Context(), start.Add(2*time.Hour), schema.DefaultNamespace, patch{user: admin}, nil)
		require.NoError(t, err)
	})

	t.Run("nobody goes for a session that is not stored", func(t *testing.T) {
		b, older, newer := two(t, true)
		_, err := b.CreateAs(t.Context(), start, newer.Key(), patch{user: admin}, nil, false)
		require.ErrorIs(t, err, backend.ErrExists)
		gone := b.created(patch{})
		require.NoError(t, b.End(t.Context(), start, gone.Key(), nil))
		_, err = b.CreateAs(t.Context(), start, gone.Key(), patch{user: admin}, nil, false)
		require.ErrorIs(t, err, backend.ErrEnded)
		assert.ElementsMatch(t, ids(older, newer), b.ofAda())
	})

	t.Run("as many go as there are too many", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		var all []schema.Session
		for n := range 250 { // more than a page
			all = append(all, b.createdAfter(time.Duration(n)*time.Millisecond, patch{user: admin}))
		}
		s := store.NewSessions(b.store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{Max: 3, Evict: true})
		last, err := s.Create(t.Context(), start.Add(time.Second), schema.DefaultNamespace, patch{user: admin}, nil)
		require.NoError(t, err)
		assert.Equal(t, ids(last, all[249], all[248]), b.ofAda())
	})

	t.Run("one that is renewed meanwhile does not escape", func(t *testing.T) {
		b, older, newer := two(t, true)
		// By who takes no turns: an instance that is set to no limit.
		other := store.NewSessions(b.store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		b.store.before = map[string]func(){"Delete": func() {
			_, _, err := other.Renew(t.Context(), start, older.Key(), 0)
			require.NoError(t, err)
		}}
		third := b.createdAfter(2*time.Second, patch{user: admin})
		assert.Equal(t, ids(third, newer), b.ofAda())
	})

	t.Run("one that ends meanwhile makes room", func(t *testing.T) {
		b, older, newer := two(t, true)
		b.store.before = map[string]func(){"Delete": func() {
			require.NoError(t, b.End(t.Context(), start, older.Key(), nil))
		}}
		third := b.createdAfter(2*time.Second, patch{user: admin})
		assert.Equal(t, ids(third, newer), b.ofAda())
	})
}

func TestAUserWhoWaitsForAnotherSessionGivesUpInTime(t *testing.T) {
	b := newLimitedBench(t, store.Lifetimes{}, store.UserLimit{Max: 1})
	waited := false
	b.store.before = map[string]func(){"Create": func() { // the first has the user's turn
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Create(ctx, start, schema.DefaultNamespace, patch{user: admin}, nil)
		assert.ErrorIs(t, err, backend.ErrUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		waited = true
	}}
	b.created(patch{user: admin})
	assert.True(t, waited)
}

// leases is a store that several instances share.
type leases struct {
	backend.Store

	mu    sync.Mutex
	held  map[string]bool
	names []string
	err   error
}

func (l *leases) Lock(_ context.Context, name string, _ time.Duration) (unlock func(), held bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.held[name] {
		return nil, false, l.err
	}
	l.held[name] = true
	l.names = append(l.names, name)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.held, name)
	}, true, nil
}

func TestUserLimitOfSeveralInstances(t *testing.T) {
	shared := func(t *testing.T) (*leases, []*store.Sessions) {
		t.Helper()
		l := &leases{Store: newBench(t, store.Lifetimes{}).store, held: map[string]bool{}}
		var instances []*store.Sessions
		for range 3 {
			instances = append(instances, store.NewSessions(l, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{Max: 2}))
		}
		return l, instances
	}

	t.Run("one at a time", func(t *testing.T) {
		l, instances := shared(t)
		var all sync.WaitGroup
		var mu sync.Mutex
		results := map[string]int{}
		for i := range 12 {
			all.Go(func() {
				_, err := instances[i%3].Create(t.Context(), start, schema.DefaultNamespace, patch{user: admin}, nil)
				mu.Lock()
				defer mu.Unlock()
				results[fmt.Sprint(err)]++
			})
		}
		all.Wait()
		assert.Equal(t, map[string]int{"<nil>": 2, store.ErrUserLimit.Error(): 10}, results)
		assert.Len(t, slices.Compact(l.names), 1, "one user has one name")
		assert.NotContains(t, l.names[0], "ada")
		assert.Empty(t, l.held)
	})

	t.Run("users do not share their leases", func(t *testing.T) {
		l, instances := shared(t)
		for _, c := range []struct{ namespace, user string }{{"a", "bc"}, {"ab", "c"}, {"a", "c"}} {
			_, err := instances[0].Create(t.Context(), start, c.namespace, patch{user: &schema.User{ID: c.user}}, nil)
			require.NoError(t, err)
		}
		slices.Sort(l.names)
		assert.Len(t, slices.Compact(l.names), 3)
	})

	t.Run("a store that fails keeps nobody waiting", func(t *testing.T) {
		l, instances := shared(t)
		l.err = errors.New("broken")
		for range 2 { // the turn is given back
			_, err := instances[0].Create(t.Context(), start, schema.DefaultNamespace, patch{user: admin}, nil)
			require.ErrorIs(t, err, l.err)
		}
		_, err := instances[0].Create(t.Context(), start, schema.DefaultNamespace, patch{}, nil)
		require.NoError(t, err, "nobody's sessions are not limited")
	})

	t.Run("a lease that somebody keeps is given up in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, instances := shared(t)
			_, err := instances[0].Create(t.Context(), start, schema.DefaultNamespace, patch{user: admin}, nil)
			require.NoError(t, err)
			l.held[l.names[0]] = true
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err = instances[1].Create(ctx, start, schema.DefaultNamespace, patch{user: admin}, nil)
			require.ErrorIs(t, err, backend.ErrUnavailable)
		})
	})
}

// Who signs in again over a session of their own is not over the limit with it.
func TestUserLimitWithoutTheSessionThatEnds(t *testing.T) {
	for _, evict := range []bool{true, false} {
		b := newLimitedBench(t, store.Lifetimes{}, store.UserLimit{Max: 2, Evict: evict})
		own := b.createdAfter(0, patch{user: admin})
		other := b.createdAfter(time.Second, patch{user: admin})
		next, err := b.CreateInPlace(t.Context(), start.Add(2*time.Second), own.Key(), patch{user: admin}, nil)
		require.NoError(t, err)
		assert.Equal(t, ids(next, other, own), b.ofAda())
	}
}
