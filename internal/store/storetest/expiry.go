package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testExpiry(t *testing.T, open Open) {
	t.Run("to the millisecond", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{ttl: 1234 * time.Millisecond, files: []string{"a"}})
		f.clock.Advance(1233 * time.Millisecond)
		f.requireStored(sess)
		assert.True(t, f.hasFile("a"))
		assert.Equal(t, []string{sess.ID}, f.all())
		f.clock.Advance(time.Millisecond)
		f.requireGone(sess.Key())
		assert.False(t, f.hasFile("a"))
		assert.Empty(t, f.all())
	})

	// Each of these meets a session that has expired and that no sweep has seen.
	for name, check := range map[string]func(f *fixture, old schema.Session){
		"Get and Peek": func(f *fixture, old schema.Session) { f.requireGone(old.Key()) },
		"Swap": func(f *fixture, old schema.Session) {
			next := f.revised(old, spec{note: "late"})
			next.ExpiresAt = f.now().Add(ttl)
			_, err := f.Swap(f.ctx(), f.now(), old, next)
			require.ErrorIs(f.t, err, backend.ErrNotFound)
		},
		"Swap of another state": func(f *fixture, old schema.Session) {
			old.Revision += 7
			_, err := f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{}))
			require.ErrorIs(f.t, err, backend.ErrNotFound)
		},
		"Touch": func(f *fixture, old schema.Session) {
			_, err := f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(ttl))
			require.ErrorIs(f.t, err, backend.ErrNotFound)
		},
		"Regenerate": func(f *fixture, old schema.Session) {
			next := old.WithID(schema.NewID())
			next.ExpiresAt = f.now().Add(ttl)
			require.ErrorIs(f.t, f.Regenerate(f.ctx(), f.now(), old, next, f.now().Add(ttl)), backend.ErrNotFound)
			f.requireGone(next.Key())
		},
		"Delete": func(f *fixture, old schema.Session) {
			require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), old.Key(), 0), backend.ErrNotFound)
			require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), old.Key(), 99), backend.ErrNotFound)
		},
		"List": func(f *fixture, old schema.Session) {
			assert.Empty(f.t, f.all())
			assert.Empty(f.t, f.list(backend.Query{Namespace: old.Namespace, UserID: old.UserID, Limit: 1}))
		},
		"Clear": func(f *fixture, old schema.Session) {
			n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: old.Namespace})
			require.NoError(f.t, err)
			assert.Zero(f.t, n)
		},
		"Files and HasFile": func(f *fixture, _ schema.Session) {
			assert.Empty(f.t, f.fileSet())
			assert.False(f.t, f.hasFile("a"))
		},
		"Create": func(f *fixture, old schema.Session) {
			again := f.created(spec{id: old.ID, ttl: time.Millisecond})
			f.requireStored(again)
			f.clock.Advance(time.Millisecond)
		},
	} {
		t.Run("is absence for "+name, func(t *testing.T) {
			f := newFixture(t, open)
			sess := f.created(spec{user: "ada", files: []string{"a"}})
			f.clock.Advance(ttl)
			check(f, sess)
			f.requireGone(sess.Key())
			f.requireEmpty()
		})
	}

	t.Run("Sweep goes by the deadline as it is now", func(t *testing.T) {
		f := newFixture(t, open)
		touched, shortened := f.created(spec{}), f.created(spec{})
		f.clock.Advance(time.Minute)
		_, err := f.Touch(f.ctx(), f.now(), touched.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		next := shortened
		next.TTL, next.OwnTTL, next.ExpiresAt = time.Second, time.Second, f.now().Add(time.Second)
		_, err = f.Swap(f.ctx(), f.now(), shortened, next)
		require.NoError(t, err)
		f.clock.Advance(time.Second)
		assert.Equal(t, 1, f.sweep(), "the shortened one")
		f.clock.Advance(ttl - time.Minute)
		assert.Zero(t, f.sweep(), "the touched one lives on")
		f.clock.Advance(time.Minute)
		assert.Equal(t, 1, f.sweep())
		f.requireEmpty()
	})
}
