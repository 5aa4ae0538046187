package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// regenerated gives the session a new id with that grace and returns it.
func (f *fixture) regenerated(old schema.Session, grace time.Duration) schema.Session {
	f.t.Helper()
	next := old.WithID(schema.NewID())
	require.NoError(f.t, f.Regenerate(f.ctx(), f.now(), old, next, f.now().Add(grace)))
	return next
}

func testRegenerate(t *testing.T, open Open) {
	t.Run("moves the session to its new id", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{user: "ada", note: "kept", files: []string{"a"}, ownTTL: ttl})
		next := f.regenerated(old, 0)
		f.requireGone(old.Key())
		f.requireStored(next)
		assert.Equal(t, []string{next.ID}, f.all())
		assert.Equal(t, []string{next.ID}, f.list(backend.Query{Namespace: old.Namespace, UserID: "ada", Limit: 10}))
		assert.Equal(t, []string{"a"}, f.fileSet())
		assert.EqualValues(t, 1, f.stats().Entries)
	})

	t.Run("succeeds once", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, time.Minute)
		second := old.WithID(schema.NewID())
		err := f.Regenerate(f.ctx(), f.now(), old, second, f.now().Add(time.Minute))
		require.ErrorIs(t, err, backend.ErrNotFound)
		f.requireGone(second.Key())
		f.requireStored(next)
	})

	t.Run("not over a change", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		changed := f.revised(old, spec{note: "new"})
		_, err := f.Swap(f.ctx(), f.now(), old, changed)
		require.NoError(t, err)
		next := old.WithID(schema.NewID())
		require.ErrorIs(t, f.Regenerate(f.ctx(), f.now(), old, next, f.now()), backend.ErrConflict)
		f.requireGone(next.Key())
		f.requireStored(changed)
	})

	t.Run("but over a touch", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		f.clock.Advance(time.Minute)
		_, err := f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		f.requireStored(f.regenerated(old, 0))
	})

	t.Run("not onto a live session", func(t *testing.T) {
		f := newFixture(t, open)
		old, other := f.created(spec{note: "old"}), f.created(spec{note: "other"})
		err := f.Regenerate(f.ctx(), f.now(), old, old.WithID(other.ID), f.now())
		require.ErrorIs(t, err, backend.ErrExists)
		err = f.Regenerate(f.ctx(), f.now(), old, old, f.now())
		require.ErrorIs(t, err, backend.ErrExists, "the id is its own")
		f.requireStored(old)
		f.requireStored(other)
	})

	t.Run("but onto an expired one", func(t *testing.T) {
		f := newFixture(t, open)
		other := f.created(spec{ttl: time.Minute, files: []string{"other"}})
		old := f.created(spec{note: "old"})
		f.clock.Advance(time.Minute)
		next := old.WithID(other.ID)
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), old, next, f.now()))
		f.requireStored(next)
		assert.Equal(t, []string{next.ID}, f.all())
		assert.Empty(t, f.fileSet())
	})

	t.Run("the old id is free again", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{note: "old"})
		next := f.regenerated(old, 0)
		again := f.created(spec{id: old.ID, note: "again"})
		f.requireStored(again)
		f.requireStored(next)
	})
}

func testGrace(t *testing.T, open Open) {
	const grace = 10 * time.Second

	t.Run("the old key leads to the successor", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, grace)
		f.clock.Advance(grace - time.Millisecond)
		requireSame(t, next, f.get(old.Key()))
		peeked, err := f.Peek(f.ctx(), f.now(), old.Key())
		require.NoError(t, err)
		requireSame(t, next, peeked)

		changed := f.revised(next, spec{note: "new"})
		_, err = f.Swap(f.ctx(), f.now(), next, changed)
		require.NoError(t, err)
		requireSame(t, changed, f.get(old.Key()))

		f.clock.Advance(time.Millisecond)
		f.requireGone(old.Key())
		f.requireStored(changed)
	})

	t.Run("for reading only", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, grace)
		_, err := f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: "late"}))
		require.ErrorIs(t, err, backend.ErrNotFound)
		_, err = f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(2*ttl))
		require.ErrorIs(t, err, backend.ErrNotFound)
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), old.Key(), 0), backend.ErrNotFound)
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), old.Key(), next.Revision), backend.ErrNotFound)
		f.requireStored(next)
	})

	t.Run("it is no session of its own", func(t *testing.T) {
		f := newFixture(t, open)
		next := f.regenerated(f.created(spec{user: "ada", files: []string{"a"}}), grace)
		assert.Equal(t, []string{next.ID}, f.all())
		assert.EqualValues(t, 1, f.stats().Entries)
		n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: next.Namespace})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		f.requireEmpty()
	})

	// Whatever ends the successor ends the grace.
	for name, end := range map[string]func(f *fixture, next schema.Session){
		"Delete": func(f *fixture, next schema.Session) {
			require.NoError(f.t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		},
		"Clear": func(f *fixture, next schema.Session) {
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: next.Namespace})
			require.NoError(f.t, err)
		},
		"expiry": func(f *fixture, _ schema.Session) { f.clock.Advance(ttl) },
		"expiry and Sweep": func(f *fixture, _ schema.Session) {
			f.clock.Advance(ttl)
			f.sweep()
		},
		"expiry, and another session of the key": func(f *fixture, next schema.Session) {
			f.clock.Advance(ttl)
			f.created(spec{id: next.ID})
		},
		"Delete, and another session of the key": func(f *fixture, next schema.Session) {
			require.NoError(f.t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
			f.created(spec{id: next.ID})
		},
		"Regenerate": func(f *fixture, next schema.Session) { f.regenerated(next, 0) },
		"Regenerate with a grace": func(f *fixture, next schema.Session) {
			third := f.regenerated(next, grace)
			requireSame(f.t, third, f.get(next.Key()))
		},
	} {
		t.Run("ends with the successor: "+name, func(t *testing.T) {
			f := newFixture(t, open)
			old := f.created(spec{})
			next := f.regenerated(old, 2*ttl)
			requireSame(t, next, f.get(old.Key()))
			end(f, next)
			f.requireGone(old.Key())
			f.sweep()
			f.requireGone(old.Key())
		})
	}

	t.Run("ends when the old key is taken", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{note: "old"})
		next := f.regenerated(old, grace)
		taken := f.created(spec{id: old.ID, note: "taken"})
		f.requireStored(taken)
		require.NoError(t, f.Delete(f.ctx(), f.now(), taken.Key(), 0))
		f.requireGone(old.Key())
		f.requireStored(next)

		// And a second grace of that key is not the first one's to end.
		taken = f.created(spec{id: old.ID, note: "taken"})
		other := f.regenerated(taken, grace)
		require.NoError(t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		requireSame(t, other, f.get(old.Key()))
	})

	t.Run("stays in its namespace", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{namespace: "one"})
		f.regenerated(old, grace)
		f.requireGone(backend.Key{Namespace: "two", ID: old.ID})
	})

	t.Run("survives a sweep", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, grace)
		f.sweep()
		requireSame(t, next, f.get(old.Key()))
	})
}
