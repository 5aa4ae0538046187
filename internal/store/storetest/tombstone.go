package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// window is how long the stores of these cases remember ended keys.
const window = 5 * time.Minute

func newRemembering(t testing.TB, open Open) *fixture {
	t.Helper()
	return newLimited(t, open, Limits{Tombstone: window})
}

// requireEnded checks that no session of the key can be created, and that the
// attempt leaves nothing.
func (f *fixture) requireEnded(key backend.Key) {
	f.t.Helper()
	before := f.stats()
	late := f.session(spec{namespace: key.Namespace, id: key.ID, user: "late", files: []string{"late"}})
	err := f.Create(f.ctx(), f.now(), late)
	require.ErrorIs(f.t, err, backend.ErrEnded)
	require.NotErrorIs(f.t, err, backend.ErrLapsed)
	assert.Equal(f.t, before, f.stats())
	assert.False(f.t, f.hasFile("late"))
	assert.NotContains(f.t, f.list(backend.Query{Namespace: key.Namespace, Limit: 100}), key.ID)
}

// requireLapsed checks that no session of the key, whose last one expired or was
// evicted, can be created, and that the attempt leaves nothing.
func (f *fixture) requireLapsed(key backend.Key) {
	f.t.Helper()
	late := f.session(spec{namespace: key.Namespace, id: key.ID, user: "late", files: []string{"late"}})
	err := f.Create(f.ctx(), f.now(), late)
	require.ErrorIs(f.t, err, backend.ErrLapsed)
	require.ErrorIs(f.t, err, backend.ErrEnded)
	assert.False(f.t, f.hasFile("late"))
	assert.NotContains(f.t, f.list(backend.Query{Namespace: key.Namespace, Limit: 100}), key.ID)
}

// revived brings a session back, which takes the place of an ended one.
func (f *fixture) revived(sp spec) schema.Session {
	f.t.Helper()
	sess := f.session(sp)
	require.NoError(f.t, f.Create(f.ctx(), f.now(), sess, backend.Revive))
	return sess
}

func testTombstones(t *testing.T, open Open) {
	// Whatever ends a session leaves a tombstone of its key.
	for name, end := range map[string]func(f *fixture, sess schema.Session){
		"Delete": func(f *fixture, sess schema.Session) {
			require.NoError(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		},
		"Delete of a revision": func(f *fixture, sess schema.Session) {
			require.NoError(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), sess.Revision))
		},
		"Clear": func(f *fixture, sess schema.Session) {
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
			require.NoError(f.t, err)
		},
		"Clear of a user": func(f *fixture, sess schema.Session) {
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace, UserID: sess.UserID, Except: "none"})
			require.NoError(f.t, err)
		},
		"Regenerate": func(f *fixture, sess schema.Session) { f.regenerated(sess, 0) },
	} {
		t.Run("what is ended stays ended for a while: "+name, func(t *testing.T) {
			f := newRemembering(t, open)
			sess := f.created(spec{namespace: "shop", user: "ada"})
			f.clock.Advance(time.Minute)
			end(f, sess)
			f.requireEnded(sess.Key())
			f.requireGone(sess.Key())
			f.clock.Advance(window - time.Millisecond)
			f.sweep()
			f.requireEnded(sess.Key())
			f.clock.Advance(time.Millisecond)
			f.requireStored(f.created(spec{namespace: "shop", id: sess.ID, note: "another"}))
		})
	}

	t.Run("of that key alone", func(t *testing.T) {
		f := newRemembering(t, open)
		sess, spared := f.created(spec{user: "ada"}), f.created(spec{user: "ada"})
		_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace, Except: spared.ID})
		require.NoError(t, err)
		f.requireEnded(sess.Key())
		f.requireStored(spared)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), spared), backend.ErrExists)
		f.requireStored(f.created(spec{namespace: "shop", id: sess.ID}))
		f.requireStored(f.created(spec{}))
	})

	t.Run("it is no session", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.created(spec{user: "ada", files: []string{"a"}})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		f.requireGone(sess.Key())
		require.ErrorIs(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0), backend.ErrNotFound)
		_, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.ErrorIs(t, err, backend.ErrNotFound)
		_, err = f.Swap(f.ctx(), f.now(), sess, f.revised(sess, spec{}))
		require.ErrorIs(t, err, backend.ErrNotFound)
		assert.Zero(t, f.count(backend.Filter{Namespace: sess.Namespace}))
		f.requireEmpty()
		f.requireEnded(sess.Key())
		f.clock.Advance(window)
		f.requireEmpty()
		assert.Zero(t, f.stats().Expirations)
	})

	t.Run("what expired stays gone for a while", func(t *testing.T) {
		for name, meet := range map[string]func(f *fixture, sess schema.Session){
			"not noticed": func(*fixture, schema.Session) {},
			"read":        func(f *fixture, sess schema.Session) { f.requireGone(sess.Key()) },
			"swept":       func(f *fixture, _ schema.Session) { require.Equal(f.t, 1, f.sweep()) },
			"deleted": func(f *fixture, sess schema.Session) {
				require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), 0), backend.ErrNotFound)
			},
			"cleared": func(f *fixture, sess schema.Session) {
				n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
				require.NoError(f.t, err)
				require.Zero(f.t, n)
			},
			"listed": func(f *fixture, _ schema.Session) { require.Empty(f.t, f.all()) },
			"touched": func(f *fixture, sess schema.Session) {
				_, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
				require.ErrorIs(f.t, err, backend.ErrNotFound)
			},
		} {
			t.Run(name, func(t *testing.T) {
				f := newRemembering(t, open)
				sess := f.created(spec{ttl: time.Minute})
				f.clock.Advance(time.Minute)
				meet(f, sess)
				f.requireLapsed(sess.Key())
				f.requireGone(sess.Key())
				f.clock.Advance(window - time.Millisecond)
				f.sweep()
				f.requireLapsed(sess.Key())
				f.requireGone(sess.Key())
				f.clock.Advance(time.Millisecond)
				f.requireStored(f.created(spec{id: sess.ID, note: "another"}))
			})
		}
	})

	t.Run("what moves the deadline moves that", func(t *testing.T) {
		for name, move := range map[string]func(f *fixture, sess schema.Session) schema.Session{
			"Touch": func(f *fixture, sess schema.Session) schema.Session {
				got, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(sess.TTL))
				require.NoError(f.t, err)
				return got
			},
			"Swap": func(f *fixture, sess schema.Session) schema.Session {
				next := f.revised(sess, spec{note: "next"})
				next.ExpiresAt = f.now().Add(sess.TTL)
				got, err := f.Swap(f.ctx(), f.now(), sess, next)
				require.NoError(f.t, err)
				return got
			},
			"Swap to a shorter life": func(f *fixture, sess schema.Session) schema.Session {
				next := f.revised(sess, spec{note: "next"})
				next.TTL = time.Minute
				next.ExpiresAt = f.now().Add(next.TTL)
				got, err := f.Swap(f.ctx(), f.now(), sess, next)
				require.NoError(f.t, err)
				return got
			},
			"Regenerate": func(f *fixture, sess schema.Session) schema.Session { return f.regenerated(sess, 0) },
		} {
			t.Run(name, func(t *testing.T) {
				f := newRemembering(t, open)
				sess := f.created(spec{ttl: 20 * time.Minute})
				f.clock.Advance(15 * time.Minute)
				sess = move(f, sess)
				f.clock.Advance(sess.ExpiresAt.Sub(f.now()) - time.Millisecond)
				require.ErrorIs(t, f.Create(f.ctx(), f.now(), sess), backend.ErrExists)
				f.clock.Advance(time.Millisecond)
				f.requireLapsed(sess.Key())
				f.clock.Advance(window - time.Millisecond)
				f.requireLapsed(sess.Key())
				f.clock.Advance(time.Millisecond)
				f.requireStored(f.created(spec{id: sess.ID, note: "another"}))
			})
		}
	})

	t.Run("a session that was ended does not expire as well", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.created(spec{ttl: time.Minute})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		f.clock.Advance(window)
		f.requireStored(f.created(spec{id: sess.ID, note: "another"}))
	})

	t.Run("Revive lifts that of what expired", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.created(spec{ttl: time.Minute})
		f.clock.Advance(time.Minute)
		f.requireLapsed(sess.Key())
		again := f.revived(spec{id: sess.ID, note: "again"})
		f.requireStored(again)
		require.NoError(t, f.Delete(f.ctx(), f.now(), again.Key(), 0))
		f.requireEnded(sess.Key())
	})

	t.Run("Revive lifts it", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.created(spec{note: "first"})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		f.requireEnded(sess.Key())
		again := f.revived(spec{id: sess.ID, user: "ada", note: "again", ttl: time.Minute, files: []string{"a"}})
		f.requireStored(again)
		assert.EqualValues(t, 2, f.stats().Sets)
		assert.Equal(t, []string{again.ID}, f.list(backend.Query{Namespace: sess.Namespace, UserID: "ada", Limit: 10}))
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), again), backend.ErrExists)

		f.clock.Advance(time.Minute) // within the first one's window, which is not what counts
		f.requireLapsed(sess.Key())
		f.clock.Advance(window)
		f.requireStored(f.created(spec{id: sess.ID, note: "third"}))
	})

	t.Run("the end that counts is the last", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		f.clock.Advance(window - time.Second)
		again := f.revived(spec{id: sess.ID})
		require.NoError(t, f.Delete(f.ctx(), f.now(), again.Key(), 0))
		f.clock.Advance(window - time.Millisecond)
		f.sweep()
		f.requireEnded(sess.Key())
		f.clock.Advance(time.Millisecond)
		f.created(spec{id: sess.ID})
	})

	t.Run("Revive where nothing was ended", func(t *testing.T) {
		f := newRemembering(t, open)
		sess := f.revived(spec{note: "new", files: []string{"a"}})
		f.requireStored(sess)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{id: sess.ID}), backend.Revive), backend.ErrExists)
		f.requireStored(sess)
		f.clock.Advance(ttl)
		again := f.revived(spec{id: sess.ID, note: "again"})
		f.requireStored(again)
		assert.Empty(t, f.fileSet())
		require.Zero(t, f.sweep())
		assert.EqualValues(t, 1, f.stats().Entries)
	})
}

// testOldKeys is about the tombstones of keys that are in their grace.
func testOldKeys(t *testing.T, open Open) {
	const grace = 2 * window

	t.Run("an old key is not to be created", func(t *testing.T) {
		f := newRemembering(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, grace)
		f.requireEnded(old.Key())
		requireSame(t, next, f.get(old.Key()))
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), next), backend.ErrExists)

		f.clock.Advance(window - time.Millisecond)
		f.requireEnded(old.Key())
		f.clock.Advance(time.Millisecond)
		requireSame(t, next, f.get(old.Key()))
		f.requireStored(f.created(spec{id: old.ID, note: "another"}))
		f.requireStored(next)
	})

	t.Run("its grace can be over before", func(t *testing.T) {
		f := newRemembering(t, open)
		old := f.created(spec{})
		f.regenerated(old, window/2)
		f.clock.Advance(window / 2)
		f.requireGone(old.Key())
		f.sweep()
		f.requireEnded(old.Key())
	})

	t.Run("Revive makes it the new session's", func(t *testing.T) {
		f := newRemembering(t, open)
		old := f.created(spec{note: "old"})
		next := f.regenerated(old, grace)
		again := f.revived(spec{id: old.ID, note: "again"})
		f.requireStored(again)
		f.requireStored(next)
		assert.EqualValues(t, 2, f.stats().Entries)

		require.NoError(t, f.Delete(f.ctx(), f.now(), again.Key(), 0))
		f.requireGone(old.Key())
		f.requireEnded(old.Key())
		f.requireStored(next)
		require.NoError(t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		f.requireEmpty()
	})

	t.Run("the end of the successor does not free it", func(t *testing.T) {
		f := newRemembering(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, grace)
		require.NoError(t, f.Delete(f.ctx(), f.now(), next.Key(), 0))
		f.requireGone(old.Key())
		f.requireEnded(old.Key())
		f.requireEnded(next.Key())
	})
}
