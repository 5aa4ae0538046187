package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// testLimitLife has sessions that were stored while the limit was another.
func testLimitLife(t *testing.T, open Open) {
	const limit = 30 * time.Minute
	// Each of these meets a session that has outlived the new limit.
	for name, check := range map[string]func(f *fixture, old schema.Session){
		"Get and Peek": func(f *fixture, old schema.Session) { f.requireGone(old.Key()) },
		"Swap": func(f *fixture, old schema.Session) {
			_, err := f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: "late"}))
			require.ErrorIs(f.t, err, backend.ErrNotFound)
		},
		"Touch": func(f *fixture, old schema.Session) {
			_, err := f.Touch(f.ctx(), f.now(), old.Key(), f.now().Add(ttl))
			require.ErrorIs(f.t, err, backend.ErrNotFound)
		},
		"Regenerate": func(f *fixture, old schema.Session) {
			next := old.WithID(schema.NewID())
			require.ErrorIs(f.t, f.Regenerate(f.ctx(), f.now(), old, next, f.now().Add(ttl)), backend.ErrNotFound)
			f.requireGone(next.Key())
		},
		"Delete": func(f *fixture, old schema.Session) {
			require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), old.Key(), 0), backend.ErrNotFound)
		},
		"List and Count": func(f *fixture, old schema.Session) {
			assert.Empty(f.t, f.all())
			assert.Empty(f.t, f.list(backend.Query{Namespace: old.Namespace, UserID: old.UserID, Limit: 1}))
			for _, user := range []string{"", old.UserID} {
				n, err := f.Count(f.ctx(), f.now(), backend.Filter{Namespace: old.Namespace, UserID: user})
				require.NoError(f.t, err)
				assert.Zero(f.t, n)
			}
		},
		"Clear": func(f *fixture, old schema.Session) {
			n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: old.Namespace})
			require.NoError(f.t, err)
			assert.Zero(f.t, n)
		},
		"Files": func(f *fixture, _ schema.Session) { assert.Empty(f.t, f.fileSet()) },
		"HasFile": func(f *fixture, _ schema.Session) {
			assert.False(f.t, f.hasFile("a"))
		},
		"Create": func(f *fixture, old schema.Session) {
			again := f.created(spec{id: old.ID})
			assert.Equal(f.t, []string{again.ID}, f.all())
			f.clock.Advance(limit)
		},
		"Sweep": func(f *fixture, _ schema.Session) {
			assert.Equal(f.t, 1, f.sweep())
			assert.EqualValues(f.t, 1, f.stats().Expirations)
		},
	} {
		t.Run("is absence for "+name, func(t *testing.T) {
			f := newFixture(t, open)
			sess := f.created(spec{user: "ada", files: []string{"a"}})
			f.clock.Advance(limit)
			f.requireStored(sess)
			f.LimitLife(limit)
			check(f, sess)
			f.requireGone(sess.Key())
			f.requireEmpty()
		})
	}

	t.Run("holds for what was touched since", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{ttl: 10 * time.Minute, files: []string{"a"}})
		for range 5 {
			f.clock.Advance(9 * time.Minute)
			touched, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(sess.TTL))
			require.NoError(t, err)
			sess = touched
		}
		f.LimitLife(limit)
		assert.Equal(t, 1, f.sweep())
		f.requireGone(sess.Key())
		f.requireEmpty()
	})

	t.Run("brings deadlines forward", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{user: "ada", files: []string{"a"}})
		short := f.created(spec{ttl: time.Minute})
		f.LimitLife(limit)
		f.requireStored(short)
		want := sess
		want.ExpiresAt = sess.CreatedAt.Add(limit)
		f.requireStored(want)
		page, err := f.List(f.ctx(), f.now(), backend.Query{Namespace: sess.Namespace, UserID: "ada", Limit: 1})
		require.NoError(t, err)
		requireSame(t, want, page.Sessions[0])

		f.clock.Advance(limit - time.Minute)
		touched, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		requireSame(t, want, touched)
		changed := f.revised(touched, spec{user: "ada", files: []string{"b"}})
		changed.ExpiresAt = f.now().Add(ttl)
		got, err := f.Swap(f.ctx(), f.now(), touched, changed)
		require.NoError(t, err)
		changed.ExpiresAt = want.ExpiresAt
		requireSame(t, changed, got)
		f.requireStored(changed)
		f.sweep() // a store that was opened again has freed it already
		f.requireGone(short.Key())

		next := f.regenerated(changed, 0)
		assert.True(t, f.hasFile("b"))
		f.clock.Advance(time.Minute)
		f.requireGone(next.Key())
		f.requireEmpty()
		assert.EqualValues(t, 2, f.stats().Expirations)
	})

	t.Run("is told and remembered as any expiry", func(t *testing.T) {
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		fo := f.follow()
		sess := f.created(spec{user: "ada"})
		fo.requireNext(f.event(backend.EventCreated, sess))
		f.clock.Advance(limit)
		f.LimitLife(limit)
		f.sweep()
		ev := fo.next()
		assert.Equal(t, backend.EventExpired, ev.Type)
		assert.Equal(t, sess.Key(), ev.Session)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{id: sess.ID})), backend.ErrLapsed)
	})

	t.Run("0 is none", func(t *testing.T) {
		f := newFixture(t, open)
		f.LimitLife(limit)
		f.LimitLife(0)
		sess := f.created(spec{})
		f.clock.Advance(limit)
		f.requireStored(sess)
		assert.True(t, slices.Contains(f.all(), sess.ID))
	})
}
