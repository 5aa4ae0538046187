package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testEvents(t *testing.T, open Open) {
	t.Run("what happens to a session", func(t *testing.T) {
		f := newFixture(t, open)
		fo := f.follow()
		sess := f.created(spec{namespace: "shop", user: "ada", note: "text"})
		fo.requireNext(f.event(backend.EventCreated, sess))

		f.clock.Advance(time.Second)
		changed := f.revised(sess, spec{user: "bob", note: "more"})
		_, err := f.Swap(f.ctx(), f.now(), sess, changed)
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventUpdated, changed))

		changed, err = f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventTouched, changed))

		longer := changed
		longer.TTL, longer.OwnTTL, longer.ExpiresAt = 2*ttl, 2*ttl, f.now().Add(2*ttl)
		_, err = f.Swap(f.ctx(), f.now(), changed, longer)
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventUpdated, longer))

		next := f.regenerated(longer, time.Minute)
		want := f.event(backend.EventRegenerated, next)
		want.Previous = sess.ID
		fo.requireNext(want)

		require.NoError(t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		fo.requireNext(f.deleted(next))
	})

	t.Run("nothing where nothing happens", func(t *testing.T) {
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		fo := f.follow()
		sess := f.created(spec{user: "ada"})
		fo.requireNext(f.event(backend.EventCreated, sess))
		gone := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), gone.Key(), 0))
		fo.first(2)
		f.doNothing(sess, gone)
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		fo.requireNext(f.deleted(sess))
	})

	t.Run("a session that comes back", func(t *testing.T) {
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		fo := f.follow()
		sess := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		fo.first(2)
		again := f.session(spec{id: sess.ID, user: "ada"})
		require.NoError(t, f.Create(f.ctx(), f.now(), again, backend.Revive))
		fo.requireNext(f.event(backend.EventCreated, again))
	})

	t.Run("Clear ends each", func(t *testing.T) {
		f := newFixture(t, open)
		want := map[backend.Key]string{}
		for n, user := range []string{"ada", "bob", "ada", "", "ada"} {
			sess := f.created(spec{id: testID(n), user: user})
			want[sess.Key()] = user
		}
		spared := f.created(spec{id: testID(9), user: "eve"})
		fo := f.follow()
		n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace, Except: testID(9)})
		require.NoError(t, err)
		require.Equal(t, len(want), n)
		for _, ev := range fo.first(n) {
			assert.Equal(t, backend.EventDeleted, ev.Type)
			user, ok := want[ev.Session]
			require.True(t, ok, "once each: %v", ev.Session)
			assert.Equal(t, user, ev.UserID)
			delete(want, ev.Session)
		}
		require.NoError(t, f.Delete(f.ctx(), f.now(), spared.Key(), 0))
		fo.requireNext(f.deleted(spared))
	})

	t.Run("a session that expires, once it is noticed", func(t *testing.T) {
		f := newFixture(t, open)
		fo := f.follow()
		sess := f.created(spec{user: "ada", ttl: time.Minute})
		stays := f.created(spec{})
		fo.first(2)
		f.clock.Advance(time.Minute)
		require.Equal(t, 1, f.sweep())
		fo.requireNextLost(backend.EventExpired, sess)
		require.Zero(t, f.sweep())
		require.NoError(t, f.Delete(f.ctx(), f.now(), stays.Key(), 0))
		fo.requireNext(f.deleted(stays))
	})

	t.Run("a session that takes the place of an expired one", func(t *testing.T) {
		f := newFixture(t, open)
		fo := f.follow()
		sess := f.created(spec{user: "ada", ttl: time.Minute})
		fo.requireNext(f.event(backend.EventCreated, sess))
		f.clock.Advance(time.Minute)
		again := f.created(spec{id: sess.ID, user: "bob"})
		fo.requireNextLost(backend.EventExpired, sess)
		fo.requireNext(f.event(backend.EventCreated, again))
		require.Zero(t, f.sweep())
		require.NoError(t, f.Delete(f.ctx(), f.now(), again.Key(), 0))
		fo.requireNext(f.deleted(again))
	})
}

// doNothing calls whatever reads, and whatever fails to change the session or
// to bring back the one that is gone.
func (f *fixture) doNothing(sess, gone schema.Session) {
	f.t.Helper()
	f.requireStored(sess)
	f.requireGone(gone.Key())
	f.all()
	f.fileSet()
	_, err := f.Count(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
	require.NoError(f.t, err)
	_, err = f.Touch(f.ctx(), f.now(), sess.Key(), sess.ExpiresAt)
	require.NoError(f.t, err)
	f.sweep()

	require.ErrorIs(f.t, f.Create(f.ctx(), f.now(), sess), backend.ErrExists)
	require.ErrorIs(f.t, f.Create(f.ctx(), f.now(), sess, backend.Revive), backend.ErrExists)
	require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), 77), backend.ErrConflict)
	stale := sess
	stale.Revision = 77
	_, err = f.Swap(f.ctx(), f.now(), stale, f.revised(stale, spec{}))
	require.ErrorIs(f.t, err, backend.ErrConflict)
	require.ErrorIs(f.t, f.Regenerate(f.ctx(), f.now(), stale, stale.WithID(schema.NewID()), f.now()), backend.ErrConflict)
	require.ErrorIs(f.t, f.Regenerate(f.ctx(), f.now(), sess, sess, f.now()), backend.ErrExists)

	require.ErrorIs(f.t, f.Create(f.ctx(), f.now(), gone), backend.ErrEnded)
	require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), gone.Key(), 0), backend.ErrNotFound)
	_, err = f.Touch(f.ctx(), f.now(), gone.Key(), f.now().Add(ttl))
	require.ErrorIs(f.t, err, backend.ErrNotFound)
	_, err = f.Swap(f.ctx(), f.now(), gone, f.revised(gone, spec{}))
	require.ErrorIs(f.t, err, backend.ErrNotFound)
	_, err = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace, Except: sess.ID})
	require.NoError(f.t, err)
}
