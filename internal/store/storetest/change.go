package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

func testSwap(t *testing.T, open Open) {
	t.Run("replaces the session", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{user: "ada", note: "old", files: []string{"a", "b"}})
		f.clock.Advance(time.Second)
		next := f.revised(old, spec{user: "bob", note: "new", files: []string{"b", "c"}})
		got, err := f.Swap(f.ctx(), f.now(), old, next)
		require.NoError(t, err)
		requireSame(t, next, got)
		f.requireStored(next)
		assert.Equal(t, []string{"b", "c"}, f.fileSet())
		assert.Empty(t, f.list(backend.Query{Namespace: old.Namespace, UserID: "ada", Limit: 10}))
		assert.Equal(t, []string{old.ID}, f.list(backend.Query{Namespace: old.Namespace, UserID: "bob", Limit: 10}))
		assert.Equal(t, []string{old.ID}, f.all())
	})

	t.Run("of two writers with one revision one succeeds", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		one, two := f.revised(old, spec{note: "one"}), f.revised(old, spec{note: "two"})
		_, err := f.Swap(f.ctx(), f.now(), old, one)
		require.NoError(t, err)
		_, err = f.Swap(f.ctx(), f.now(), old, two)
		require.ErrorIs(t, err, backend.ErrConflict)
		f.requireStored(one)
	})

	t.Run("a change of the idle life is a conflict", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		shorter := old
		shorter.TTL, shorter.OwnTTL = time.Minute, time.Minute
		shorter.ExpiresAt = f.now().Add(time.Minute)
		_, err := f.Swap(f.ctx(), f.now(), old, shorter)
		require.NoError(t, err)
		_, err = f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: "late"}))
		require.ErrorIs(t, err, backend.ErrConflict)

		ownOnly := shorter
		ownOnly.OwnTTL = 0
		_, err = f.Swap(f.ctx(), f.now(), shorter, ownOnly)
		require.NoError(t, err)
		_, err = f.Swap(f.ctx(), f.now(), shorter, f.revised(shorter, spec{note: "late"}))
		require.ErrorIs(t, err, backend.ErrConflict)
		f.requireStored(ownOnly)
	})

	t.Run("a touch meanwhile is none, and is kept", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		f.clock.Advance(time.Minute)
		touched, err := f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		next := f.revised(old, spec{note: "new"})
		got, err := f.Swap(f.ctx(), f.now(), old, next)
		require.NoError(t, err)
		next.ExpiresAt = touched.ExpiresAt
		requireSame(t, next, got)
		f.requireStored(next)
	})

	t.Run("moves the deadline forward", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		f.clock.Advance(time.Minute)
		next := f.revised(old, spec{note: "new"})
		next.ExpiresAt = f.now().Add(ttl)
		_, err := f.Swap(f.ctx(), f.now(), old, next)
		require.NoError(t, err)
		f.clock.Advance(ttl - time.Millisecond)
		f.requireStored(next)
	})

	t.Run("another idle life can shorten the deadline", func(t *testing.T) {
		for name, change := range map[string]struct{ ttl, ownTTL time.Duration }{
			"TTL":    {time.Minute, 0},
			"OwnTTL": {ttl, time.Minute},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, open)
				old := f.created(spec{})
				next := f.revised(old, spec{note: "new"})
				next.TTL, next.OwnTTL = change.ttl, change.ownTTL
				next.ExpiresAt = f.now().Add(time.Minute)
				got, err := f.Swap(f.ctx(), f.now(), old, next)
				require.NoError(t, err)
				requireSame(t, next, got)
				f.requireStored(next)
				f.clock.Advance(time.Minute)
				assert.Equal(t, 1, f.sweep())
				f.requireGone(next.Key())
			})
		}
	})

	t.Run("does not bring back what is gone", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.revised(old, spec{note: "new"})
		require.NoError(t, f.Delete(f.ctx(), f.now(), old.Key(), 0))
		_, err := f.Swap(f.ctx(), f.now(), old, next)
		require.ErrorIs(t, err, backend.ErrNotFound)
		f.requireGone(old.Key())
		f.requireEmpty()
	})

	t.Run("does not take a later session of the key for the old one", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{note: "secret of the ended session"})
		require.NoError(t, f.Delete(f.ctx(), f.now(), old.Key(), 0))
		f.clock.Advance(time.Millisecond)
		later := f.created(spec{id: old.ID})
		_, err := f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: "of the ended session"}))
		require.ErrorIs(t, err, backend.ErrConflict)
		f.requireStored(later)
	})
}

func testTouch(t *testing.T, open Open) {
	t.Run("moves the deadline and nothing else", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{user: "ada", note: "text", files: []string{"a"}})
		f.clock.Advance(time.Minute)
		got, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		sess.ExpiresAt = f.now().Add(ttl)
		requireSame(t, sess, got)
		f.requireStored(sess)
		f.clock.Advance(ttl - time.Millisecond)
		f.requireStored(sess)
		f.clock.Advance(time.Millisecond)
		f.requireGone(sess.Key())
	})

	t.Run("never moves it back", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		for _, until := range []time.Time{f.now(), sess.ExpiresAt.Add(-time.Millisecond), sess.ExpiresAt} {
			got, err := f.Touch(f.ctx(), f.now(), sess.Key(), until)
			require.NoError(t, err)
			requireSame(t, sess, got)
		}
		f.requireStored(sess)
	})

	t.Run("never moves it further than the idle life allows", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		short := old
		short.TTL, short.OwnTTL = time.Minute, time.Minute
		short.ExpiresAt = f.now().Add(time.Minute)
		_, err := f.Swap(f.ctx(), f.now(), old, short)
		require.NoError(t, err)
		f.clock.Advance(time.Second)
		// This one still goes by what the session was before.
		got, err := f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(old.TTL))
		require.NoError(t, err)
		short.ExpiresAt = f.now().Add(time.Minute)
		requireSame(t, short, got)
		f.requireStored(short)
	})

	t.Run("does not bring back what is gone", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		_, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.ErrorIs(t, err, backend.ErrNotFound)
		f.requireGone(sess.Key())
		f.requireEmpty()
	})
}

func testDelete(t *testing.T, open Open) {
	t.Run("leaves nothing", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{user: "ada", files: []string{"a"}})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		f.requireGone(sess.Key())
		assert.Empty(t, f.list(backend.Query{Namespace: sess.Namespace, UserID: "ada", Limit: 10}))
		assert.False(t, f.hasFile("a"))
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0), backend.ErrNotFound)
		f.requireEmpty()
	})

	t.Run("with a revision only at that", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.revised(old, spec{note: "new"})
		_, err := f.Swap(f.ctx(), f.now(), old, next)
		require.NoError(t, err)
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), old.Key(), old.Revision), backend.ErrConflict)
		f.requireStored(next)
		require.NoError(t, f.Delete(f.ctx(), f.now(), old.Key(), next.Revision))
		f.requireGone(old.Key())
	})

	t.Run("unknown keys", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), backend.Key{Namespace: "other", ID: sess.ID}, 0), backend.ErrNotFound)
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), backend.Key{Namespace: "other", ID: sess.ID}, 1), backend.ErrNotFound)
		f.requireStored(sess)
	})
}
