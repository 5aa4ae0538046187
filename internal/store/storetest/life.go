package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// testLife is about what tells an id's sessions apart, all else being equal.
func testLife(t *testing.T, open Open) {
	t.Run("a change is made to no other life of the id", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.created(spec{user: "ada"})
		require.NoError(t, f.Delete(f.ctx(), f.now(), first.Key(), 0))
		second := first
		second.Life = schema.NewLife()
		require.NoError(t, f.Create(f.ctx(), f.now(), second, backend.Revive))
		_, err := f.Swap(f.ctx(), f.now(), first, f.revised(first, spec{note: "late"}))
		require.ErrorIs(t, err, backend.ErrConflict)
		require.ErrorIs(t, f.Regenerate(f.ctx(), f.now(), first, first.WithID(schema.NewID()), f.now()), backend.ErrConflict)
		f.requireStored(second)
		kept := f.get(second.Key())
		assert.NotEqual(t, first.ETag(), kept.ETag())
	})

	t.Run("the life and the ETag stay", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{user: "ada", files: []string{"a"}})
		touched, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(sess.TTL))
		require.NoError(t, err)
		assert.Equal(t, sess.ETag(), touched.ETag())
		page, err := f.List(f.ctx(), f.now(), backend.Query{Namespace: sess.Namespace, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Sessions, 1)
		assert.Equal(t, sess.ETag(), page.Sessions[0].ETag())

		next := f.revised(sess, spec{user: "ada", note: "next"})
		next.Life = schema.NewLife() // which is not the caller's to change
		got, err := f.Swap(f.ctx(), f.now(), sess, next)
		require.NoError(t, err)
		assert.Equal(t, sess.Life, got.Life)
		kept := f.get(sess.Key())
		assert.Equal(t, got.ETag(), kept.ETag())
		assert.NotEqual(t, sess.ETag(), got.ETag())
	})

	t.Run("another user's session has the life that it is given", func(t *testing.T) {
		f := newFixture(t, open)
		was := f.created(spec{user: "ada", note: "same"})
		for _, user := range []string{"bob", "", "ada"} {
			next := f.revised(was, spec{user: user, note: "same"})
			got, err := f.Swap(f.ctx(), f.now(), was, next)
			require.NoError(t, err)
			requireSame(t, next, got)
			f.requireStored(next)
			assert.NotEqual(t, was.Life, got.Life)
			_, err = f.Swap(f.ctx(), f.now(), was, next)
			require.ErrorIs(t, err, backend.ErrConflict)
			was = got
		}
	})

	t.Run("a session without one", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.session(spec{})
		sess.Life = schema.Life{}
		require.NoError(t, f.Create(f.ctx(), f.now(), sess))
		f.requireStored(sess)
		got, err := f.Swap(f.ctx(), f.now(), sess, f.revised(sess, spec{note: "next"}))
		require.NoError(t, err)
		assert.Equal(t, schema.Life{}, got.Life)
		f.requireStored(got)
	})

	t.Run("a successor has its own", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		next := f.regenerated(sess, 0)
		assert.NotEqual(t, sess.Life, f.get(next.Key()).Life)
		f.requireStored(next)
	})
}
