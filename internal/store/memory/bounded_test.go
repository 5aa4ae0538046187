package memory

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func newSession(t *testing.T, namespace string, now time.Time) schema.Session {
	t.Helper()
	now = schema.Now(now)
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: namespace, ID: schema.NewID(), Revision: 1,
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour), TTL: time.Hour,
	}, schema.EmptySections())
	require.NoError(t, err)
	return sess
}

// kept counts the graces, and the notes of old keys that go with them.
func kept(s *Store) (graces, olds int) {
	for i := range s.shards {
		graces += len(s.shards[i].graces.of)
		olds += len(s.shards[i].olds)
	}
	return graces, olds
}

func TestGracesAreBounded(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	s := New(Options{})
	renew := func(sess schema.Session) schema.Session {
		next := sess.WithID(schema.NewID())
		require.NoError(t, s.Regenerate(ctx, now, sess, next, now.Add(time.Minute)))
		return next
	}

	sess := newSession(t, schema.DefaultNamespace, now)
	require.NoError(t, s.Create(ctx, now, sess))
	for range 100 {
		sess = renew(sess)
	}
	graces, olds := kept(s)
	assert.Equal(t, [2]int{1, 1}, [2]int{graces, olds}, "one for a session, however often it is regenerated")

	for range 50 {
		other := newSession(t, schema.DefaultNamespace, now)
		require.NoError(t, s.Create(ctx, now, other))
		renew(other)
	}
	graces, olds = kept(s)
	assert.Equal(t, [2]int{51, 51}, [2]int{graces, olds})

	require.NoError(t, s.Delete(ctx, now, sess.Key(), 0))
	graces, olds = kept(s)
	assert.Equal(t, [2]int{50, 50}, [2]int{graces, olds}, "they go with the session")

	_, err := s.Sweep(ctx, now.Add(time.Minute))
	require.NoError(t, err)
	graces, olds = kept(s)
	assert.Equal(t, [2]int{0, 0}, [2]int{graces, olds}, "or when they have run out")
}

func TestEmptyNamespacesGo(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	s := New(Options{MaxEntries: 3, Policy: None})
	stays := newSession(t, "stays", now)
	stays.ExpiresAt = now.Add(2 * time.Hour)
	ends, expires := newSession(t, "ends", now), newSession(t, "expires", now)
	for _, sess := range []schema.Session{stays, ends, expires} {
		require.NoError(t, s.Create(ctx, now, sess))
	}
	refused := newSession(t, "refused", now)
	require.ErrorIs(t, s.Create(ctx, now, refused), backend.ErrFull)
	require.NoError(t, s.Delete(ctx, now, ends.Key(), 0))
	next := stays.WithID(schema.NewID())
	require.NoError(t, s.Regenerate(ctx, now, stays, next, now))

	_, err := s.Sweep(ctx, now.Add(time.Hour))
	require.NoError(t, err)
	assert.Len(t, s.namespaces.byName, 1)
	_, err = s.Get(ctx, now, next.Key())
	require.NoError(t, err)

	// What has gone comes back when it is needed.
	ends = newSession(t, "ends", now)
	require.NoError(t, s.Create(ctx, now, ends))
	page, err := s.List(ctx, now, backend.Query{Namespace: "ends", Limit: 1})
	require.NoError(t, err)
	assert.Len(t, page.Sessions, 1)
}

// TestShardsAreLeftEmpty checks that nothing of an ended session stays behind.
func TestShardsAreLeftEmpty(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	for _, policy := range []Policy{LRU, TTL, None} {
		s := New(Options{Policy: policy, MaxEntries: 5000})
		for range 5000 {
			require.NoError(t, s.Create(ctx, now, newSession(t, schema.DefaultNamespace, now)))
		}
		n, err := s.Clear(ctx, now, backend.Filter{Namespace: schema.DefaultNamespace})
		require.NoError(t, err)
		require.Equal(t, 5000, n)
		for i := range s.shards {
			sh := &s.shards[i]
			assert.Zero(t, sh.table.n)
			assert.LessOrEqual(t, len(sh.table.tags), 64)
			for c := range sh.eviction {
				assert.Empty(t, sh.eviction[c].items)
			}
			assert.Empty(t, sh.expiry.items)
		}
		for c := range s.evictionBounds {
			assert.EqualValues(t, never, s.evictionBounds[c].min())
			assert.Zero(t, s.population[c].Load())
		}
		assert.EqualValues(t, never, s.expiryBounds.min())
	}
}

// TestLongOperationsCanBeCancelled checks it for each of them, on a store with
// enough in it.
func TestLongOperationsCanBeCancelled(t *testing.T) {
	now := time.Now()
	s := New(Options{Policy: LRU, MaxEntries: 1000})
	for range 1000 {
		require.NoError(t, s.Create(t.Context(), now, newSession(t, schema.DefaultNamespace, now)))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Sweep": func() error { _, err := s.Sweep(over, now); return err },
		"Sweep of expired sessions": func() error {
			_, err := s.Sweep(over, now.Add(time.Hour))
			return err
		},
		"Clear": func() error {
			_, err := s.Clear(over, now, backend.Filter{Namespace: schema.DefaultNamespace})
			return err
		},
		"List": func() error {
			_, err := s.List(over, now, backend.Query{Namespace: schema.DefaultNamespace, Limit: 1000})
			return err
		},
		"Files": func() error { return s.Files(over, now, func(string) error { return nil }) },
		"Create in a full store": func() error {
			return s.Create(over, now, newSession(t, schema.DefaultNamespace, now))
		},
	} {
		err := call()
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, err, backend.ErrUnavailable, name)
	}
	st, err := s.Stats(t.Context(), now)
	require.NoError(t, err)
	assert.EqualValues(t, 1000, st.Entries)
}
