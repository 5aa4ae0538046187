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
)

var ownKey = backend.Key{Namespace: "shop", ID: "an-id-of-the-caller"}

func (b *bench) put(u store.Update, revive bool) (schema.Session, bool) {
	b.t.Helper()
	sess, created, err := b.Put(b.t.Context(), start, ownKey, u, revive)
	require.NoError(b.t, err)
	return sess, created
}

func TestPut(t *testing.T) {
	t.Run("creates under the caller's id", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Roles: roles})
		sess, created := b.put(store.Update{Change: patch{inputs: `{"a":1}`, user: admin, ttl: time.Minute}}, false)
		assert.True(t, created)
		assert.Equal(t, ownKey, sess.Key())
		assert.Equal(t, at(0), sess.CreatedAt)
		assert.Equal(t, at(time.Minute), sess.ExpiresAt)
		assert.Equal(t, time.Minute, sess.OwnTTL)
		assert.EqualValues(t, 1, sess.Revision)
		b.requireStored(sess)
	})

	t.Run("changes what is there", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		b.put(store.Update{Change: patch{inputs: `{"a":1}`, user: admin}}, false)
		sess, created := b.put(store.Update{Change: patch{inputs: `{"b":2}`}}, true)
		assert.False(t, created)
		assert.EqualValues(t, 2, sess.Revision)
		assert.Equal(t, "ada", sess.UserID)
		b.requireStored(sess)
	})

	t.Run("changes what another created meanwhile", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		b.store.before = map[string]func(){"Create": func() {
			_, err := b.CreateAs(t.Context(), start, ownKey, patch{user: admin}, nil, false)
			require.NoError(t, err)
		}}
		sess, created := b.put(store.Update{Change: patch{inputs: `{"a":1}`}}, false)
		assert.False(t, created)
		assert.EqualValues(t, 2, sess.Revision)
		assert.Equal(t, "ada", sess.UserID)
		b.requireStored(sess)
	})

	t.Run("does not bring back what was ended, unless asked to", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		b.put(store.Update{Change: patch{user: admin}}, false)
		require.NoError(t, b.End(t.Context(), start, ownKey, nil))
		_, _, err := b.Put(t.Context(), start, ownKey, store.Update{Change: patch{}}, false)
		require.ErrorIs(t, err, backend.ErrEnded)
		_, err = b.CreateAs(t.Context(), start, ownKey, patch{}, nil, false)
		require.ErrorIs(t, err, backend.ErrEnded)
		b.requireGone(ownKey)
		sess, created := b.put(store.Update{Change: patch{inputs: `{"a":1}`}}, true)
		assert.True(t, created)
		assert.Empty(t, sess.UserID, "nothing of the ended one")
		b.requireStored(sess)
	})

	t.Run("of an old id in its grace it changes the successor, and revives it as another session", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		b.put(store.Update{Change: patch{}}, false)
		next, _, err := b.Renew(t.Context(), start, ownKey, time.Minute)
		require.NoError(t, err)
		changed, created, err := b.Put(t.Context(), start, ownKey, store.Update{Change: patch{inputs: `{"a":1}`}}, false)
		require.NoError(t, err)
		assert.False(t, created)
		assert.Equal(t, next.ID, changed.ID)
		b.requireStored(changed)
		sess, created := b.put(store.Update{Change: patch{inputs: `{"a":2}`}}, true)
		assert.True(t, created)
		assert.Equal(t, ownKey, sess.Key())
		b.requireStored(sess)
		b.requireStored(changed)
	})

	t.Run("of an old id whose grace is over", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		b.put(store.Update{Change: patch{}}, false)
		next, _, err := b.Renew(t.Context(), start, ownKey, time.Second)
		require.NoError(t, err)
		_, _, err = b.Put(t.Context(), at(time.Second), ownKey, store.Update{Change: patch{inputs: `{"a":1}`}}, false)
		require.ErrorIs(t, err, backend.ErrEnded)
		b.requireStored(next)
	})

	t.Run("what refuses it, refuses it", func(t *testing.T) {
		refused := errors.New("refused")
		for name, u := range map[string]store.Update{
			"the change": {Change: patch{err: refused}},
			"Allow":      {Change: patch{}, Allow: func(_, _ schema.Sections) error { return refused }},
		} {
			b := newBench(t, store.Lifetimes{})
			_, created, err := b.Put(t.Context(), start, ownKey, u, false)
			require.ErrorIs(t, err, refused, name)
			assert.False(t, created, name)
			b.requireGone(ownKey)
			sess, _ := b.put(store.Update{Change: patch{}}, false)
			_, created, err = b.Put(t.Context(), start, ownKey, u, false)
			require.ErrorIs(t, err, refused, name)
			assert.False(t, created, name)
			b.requireStored(sess)
		}
	})

	t.Run("ends if the store makes no sense", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, store.Lifetimes{})
			s := store.NewSessions(undecided{b.store}, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
			_, _, err := s.Put(t.Context(), start, ownKey, store.Update{Change: patch{}}, false)
			require.ErrorIs(t, err, backend.ErrUnavailable)
		})
	})
}

// undecided is a store that says of every key that it is taken, and that there
// is nothing.
type undecided struct{ backend.Store }

func (undecided) Create(context.Context, time.Time, schema.Session, ...backend.CreateOption) error {
	return backend.ErrExists
}

func TestCreateAs(t *testing.T) {
	b := newBench(t, store.Lifetimes{})
	for _, revive := range []bool{false, true} {
		key := backend.Key{Namespace: "shop", ID: schema.NewID()}
		sess, err := b.CreateAs(t.Context(), start, key, patch{inputs: `{"a":1}`}, nil, revive)
		require.NoError(t, err)
		b.requireStored(sess)
		_, err = b.CreateAs(t.Context(), start, key, patch{}, nil, revive)
		require.ErrorIs(t, err, backend.ErrExists)
		b.requireStored(sess)
	}
}

// readOnly is a store that cannot be written at present.
type readOnly struct{ backend.Store }

func (readOnly) Touch(context.Context, time.Time, backend.Key, time.Time) (schema.Session, error) {
	return schema.Session{}, backend.ErrReadOnly
}

func TestAccessOfAStoreThatCannotBeWritten(t *testing.T) {
	b := newBench(t, store.Lifetimes{})
	sess := b.created(patch{user: admin})
	s := store.NewSessions(readOnly{b.store}, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
	got, moved, err := s.Access(t.Context(), start.Add(time.Minute), sess.Key())
	require.NoError(t, err)
	assert.False(t, moved)
	assert.Equal(t, sess.ExpiresAt, got.ExpiresAt)
	assert.Equal(t, sess.Doc, got.Doc)
	_, err = s.Extend(t.Context(), start.Add(time.Minute), sess.Key(), 0)
	require.ErrorIs(t, err, backend.ErrUnavailable, "what was asked for is not silently left out")
}
