package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

func TestExtend(t *testing.T) {
	t.Run("moves the deadline at once", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Hour})
		sess := b.created(patch{})
		got, err := b.Extend(t.Context(), start.Add(time.Millisecond), sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, at(time.Hour+time.Millisecond), got.ExpiresAt)
		assert.EqualValues(t, 1, got.Revision)
		assert.Zero(t, got.OwnTTL)
		b.requireStored(got)
	})

	t.Run("with a life of its own", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		got, err := b.Extend(t.Context(), start.Add(time.Minute), sess.Key(), 2*time.Minute)
		require.NoError(t, err)
		assert.Equal(t, at(3*time.Minute), got.ExpiresAt)
		assert.Equal(t, 2*time.Minute, got.OwnTTL)
		assert.EqualValues(t, 1, got.Revision)
		assert.Equal(t, at(0), got.UpdatedAt)
		b.requireStored(got)
	})

	t.Run("not beyond the absolute end", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Absolute: 61 * time.Minute})
		sess := b.created(patch{})
		got, err := b.Extend(t.Context(), start.Add(30*time.Minute), sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, at(61*time.Minute), got.ExpiresAt)
	})

	t.Run("of an old id in its grace the successor", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		next, _, err := b.Renew(t.Context(), start, sess.Key(), 10*time.Minute)
		require.NoError(t, err)
		for _, ttl := range []time.Duration{0, 2 * time.Hour} {
			got, err := b.Extend(t.Context(), start.Add(time.Minute), sess.Key(), ttl)
			require.NoError(t, err)
			assert.Equal(t, next.ID, got.ID)
			assert.Equal(t, at(time.Minute+got.TTL), got.ExpiresAt)
			b.requireStored(got)
			_, err = b.Extend(t.Context(), start, backend.Key{Namespace: "other", ID: next.ID}, ttl)
			require.ErrorIs(t, err, backend.ErrNotFound)
		}
		_, err = b.Extend(t.Context(), start.Add(10*time.Minute), sess.Key(), 0)
		require.ErrorIs(t, err, backend.ErrNotFound, "the grace is over")
	})

	t.Run("renewed with a grace just before", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		var next schema.Session
		b.store.before = map[string]func(){"Touch": func() {
			var err error
			next, _, err = b.Renew(t.Context(), start, sess.Key(), time.Minute)
			require.NoError(t, err)
		}}
		got, err := b.Extend(t.Context(), start.Add(time.Second), sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, next.ID, got.ID)
		assert.Equal(t, at(time.Hour+time.Second), got.ExpiresAt)
	})
}

func TestRenew(t *testing.T) {
	t.Run("a new id for the same session", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{inputs: `{"a":1}`, user: admin, ttl: 2 * time.Hour})
		next, made, err := b.Renew(t.Context(), start.Add(time.Minute), sess.Key(), 0)
		require.NoError(t, err)
		assert.True(t, made)
		assert.True(t, schema.ValidID(next.ID))
		assert.NotEqual(t, sess.ID, next.ID)
		want := sess.WithID(next.ID)
		want.ExpiresAt = at(2*time.Hour + time.Minute)
		b.requireStored(want)
		b.requireGone(sess.Key())
		_, _, err = b.Renew(t.Context(), start.Add(time.Minute), sess.Key(), 0)
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("within the grace the successor", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		next, _, err := b.Renew(t.Context(), start, sess.Key(), time.Minute)
		require.NoError(t, err)
		again, made, err := b.Renew(t.Context(), start.Add(time.Minute-time.Millisecond), sess.Key(), time.Minute)
		require.NoError(t, err)
		assert.False(t, made)
		assert.Equal(t, next.ID, again.ID)
		_, _, err = b.Renew(t.Context(), start.Add(time.Minute), sess.Key(), time.Minute)
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("of an old id a change is the successor's", func(t *testing.T) {
		for name, change := range map[string]patch{
			"a section":     {inputs: `{"a":1}`},
			"a life":        {ttl: 2 * time.Hour},
			"nothing of it": {},
		} {
			b := newBench(t, store.Lifetimes{})
			sess := b.created(patch{})
			next, _, err := b.Renew(t.Context(), start, sess.Key(), time.Minute)
			require.NoError(t, err)
			got, _, err := b.Update(t.Context(), at(time.Second), sess.Key(), store.Update{Change: change, Slide: true})
			require.NoError(t, err, name)
			assert.Equal(t, next.ID, got.ID, name)
			assert.True(t, got.ExpiresAt.After(next.ExpiresAt), name)
			b.requireStored(got)
			_, _, err = b.Update(t.Context(), at(time.Minute), sess.Key(), store.Update{Change: change})
			require.ErrorIs(t, err, backend.ErrNotFound, name)
		}
	})

	t.Run("a change on its way when another instance renews", func(t *testing.T) {
		for grace, want := range map[time.Duration]error{0: backend.ErrNotFound, time.Minute: nil} {
			b := newBench(t, store.Lifetimes{})
			other := store.NewSessions(b.store.Store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
			sess := b.created(patch{})
			var next schema.Session
			b.store.before = map[string]func(){"Swap": func() {
				var err error
				next, _, err = other.Renew(t.Context(), start, sess.Key(), grace)
				require.NoError(t, err)
			}}
			got, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			require.ErrorIs(t, err, want)
			if want == nil {
				assert.Equal(t, next.ID, got.ID)
				assert.Contains(t, string(got.Doc), `"inputs":{"a":1}`)
				b.requireStored(got)
			}
		}
	})

	t.Run("another instance renews with a grace just before", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		other := store.NewSessions(b.store.Store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		sess := b.created(patch{})
		var next schema.Session
		b.store.before = map[string]func(){"Regenerate": func() {
			var err error
			next, _, err = other.Renew(t.Context(), start, sess.Key(), time.Minute)
			require.NoError(t, err)
		}}
		got, made, err := b.Renew(t.Context(), start, sess.Key(), 0)
		require.NoError(t, err)
		assert.False(t, made)
		assert.Equal(t, next, got, "it hears of the one successor")
	})

	t.Run("takes a change meanwhile along", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		other := store.NewSessions(b.store.Store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Regenerate": func() {
			_, _, err := other.Update(t.Context(), start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			require.NoError(t, err)
		}}
		next, _, err := b.Renew(t.Context(), start, sess.Key(), 0)
		require.NoError(t, err)
		assert.Contains(t, string(next.Doc), `"inputs":{"a":1}`)
		assert.EqualValues(t, 2, next.Revision)
		b.requireStored(next)
	})

	t.Run("the absolute end stays", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Absolute: 61 * time.Minute})
		sess := b.created(patch{})
		next, _, err := b.Renew(t.Context(), start.Add(30*time.Minute), sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, at(61*time.Minute), next.ExpiresAt)
		assert.Equal(t, at(0), next.CreatedAt)
	})
}

func TestEnd(t *testing.T) {
	t.Run("within the grace it ends the successor", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		next, _, err := b.Renew(t.Context(), start, sess.Key(), time.Minute)
		require.NoError(t, err)
		require.NoError(t, b.End(t.Context(), start, sess.Key(), nil))
		b.requireGone(next.Key())
		require.ErrorIs(t, b.End(t.Context(), start, sess.Key(), nil), backend.ErrNotFound)
		requireNothingStored(t, b)
	})

	t.Run("renewed just before, it ends the successor too", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Delete": func() {
			_, _, err := b.Renew(t.Context(), start, sess.Key(), time.Minute)
			require.NoError(t, err)
		}}
		require.NoError(t, b.End(t.Context(), start, sess.Key(), nil))
		b.requireGone(sess.Key())
		requireNothingStored(t, b)
	})

	t.Run("ended just before", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Delete": func() {
			require.NoError(t, b.store.Store.Delete(t.Context(), start, sess.Key(), 0))
		}}
		require.ErrorIs(t, b.End(t.Context(), start, sess.Key(), nil), backend.ErrNotFound)
	})

	t.Run("with a condition", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		refused := errors.New("refused")
		first := func(cur schema.Session) error {
			if cur.Revision != 1 {
				return refused
			}
			return nil
		}
		// It holds, but no longer when the session is to go.
		b.store.before = map[string]func(){"Delete": func() {
			b.update(0, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
		}}
		require.ErrorIs(t, b.End(t.Context(), start, sess.Key(), first), refused)
		require.NoError(t, b.End(t.Context(), start, sess.Key(), func(schema.Session) error { return nil }))
		b.requireGone(sess.Key())
	})
}

// stubborn is a store in which every session has just changed.
type stubborn struct {
	backend.Store
	asked int
}

func (s *stubborn) Swap(context.Context, time.Time, schema.Session, schema.Session) (schema.Session, error) {
	s.asked++
	return schema.Session{}, backend.ErrConflict
}

func TestConflictsEnd(t *testing.T) {
	start := func(t *testing.T) (*stubborn, *store.Sessions, backend.Key) {
		t.Helper()
		s := &stubborn{Store: memory.New(memory.Options{})}
		sessions := store.NewSessions(s, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		sess, err := sessions.Create(t.Context(), start, schema.DefaultNamespace, patch{}, nil)
		require.NoError(t, err)
		return s, sessions, sess.Key()
	}
	change := store.Update{Change: patch{inputs: `{"a":1}`}}

	t.Run("after many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sessions, key := start(t)
			_, _, err := sessions.Update(t.Context(), at(0), key, change)
			require.ErrorIs(t, err, backend.ErrUnavailable)
			assert.Greater(t, s.asked, 100)
		})
	})

	t.Run("with the context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sessions, key := start(t)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _, err := sessions.Update(ctx, at(0), key, change)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, s.asked, 100)
		})
	})
}
