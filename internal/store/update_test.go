package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

func TestUpdate(t *testing.T) {
	t.Run("changes and counts", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{inputs: `{"a":1}`})
		got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		assert.False(t, moved)
		assert.EqualValues(t, 2, got.Revision)
		assert.Equal(t, at(0), got.CreatedAt)
		assert.Equal(t, at(time.Minute), got.UpdatedAt)
		assert.Equal(t, at(time.Hour), got.ExpiresAt)
		b.requireStored(got)
	})

	t.Run("what changes nothing writes nothing", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{inputs: `{"a":1}`, ttl: time.Hour})
		for name, p := range map[string]patch{
			"no change": {}, "the same inputs": {inputs: `{"a":1}`},
		} {
			got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: p})
			assert.False(t, moved, name)
			assert.Equal(t, string(sess.Doc), string(got.Doc), name)
		}
		assert.Zero(t, b.store.swaps)
		b.requireStored(sess)
	})

	t.Run("but it slides", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Minute})
		sess := b.created(patch{})
		_, moved := b.update(time.Second, sess.Key(), store.Update{Change: patch{}, Slide: true})
		assert.False(t, moved)
		got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: patch{}, Slide: true})
		assert.True(t, moved)
		assert.Equal(t, at(time.Hour+time.Minute), got.ExpiresAt)
		assert.EqualValues(t, 1, got.Revision)
		assert.Equal(t, at(0), got.UpdatedAt)
		assert.Zero(t, b.store.swaps)
		b.requireStored(got)
	})

	t.Run("a change slides with it", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Minute})
		sess := b.created(patch{})
		got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}, Slide: true})
		assert.True(t, moved)
		assert.Equal(t, at(time.Hour+time.Minute), got.ExpiresAt)
		assert.EqualValues(t, 2, got.Revision)
		b.requireStored(got)
	})

	t.Run("ttlMs becomes the session's own life", func(t *testing.T) {
		for name, ttl := range map[string]time.Duration{"shorter": time.Minute, "longer": 3 * time.Hour} {
			b := newBench(t, store.Lifetimes{})
			sess := b.created(patch{})
			got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: patch{ttl: ttl}})
			assert.True(t, moved, name)
			assert.Equal(t, at(time.Minute+ttl), got.ExpiresAt, name)
			assert.Equal(t, ttl, got.TTL, name)
			assert.EqualValues(t, 1, got.Revision, "no section changed")
			b.requireStored(got)

			got, moved, err := b.Access(t.Context(), start.Add(90*time.Second), sess.Key())
			require.NoError(t, err)
			assert.True(t, moved, name)
			assert.Equal(t, at(90*time.Second+ttl), got.ExpiresAt, name)
			got, _ = b.update(100*time.Second, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			assert.Equal(t, ttl, got.TTL, "later changes keep it")
			b.requireStored(got)
		}
	})

	t.Run("the same ttlMs again moves the deadline", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Hour})
		sess := b.created(patch{ttl: time.Minute})
		got, moved := b.update(time.Millisecond, sess.Key(), store.Update{Change: patch{ttl: time.Minute}})
		assert.True(t, moved)
		assert.Equal(t, at(time.Minute+time.Millisecond), got.ExpiresAt)
		b.requireStored(got)
	})

	t.Run("a role brings its life and takes it along", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Roles: roles})
		sess := b.created(patch{ttl: 2 * time.Hour})
		got, moved := b.update(time.Minute, sess.Key(), store.Update{Change: patch{user: admin}})
		assert.True(t, moved)
		assert.Equal(t, at(11*time.Minute), got.ExpiresAt)
		b.requireStored(got)
		got, moved = b.update(2*time.Minute, sess.Key(), store.Update{Change: patch{user: &schema.User{ID: "ada", Roles: []string{}}}})
		assert.True(t, moved)
		assert.Equal(t, at(2*time.Hour+2*time.Minute), got.ExpiresAt, "the life of its own again")
		b.requireStored(got)
	})

	t.Run("the absolute end stays", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Absolute: 90 * time.Minute})
		sess := b.created(patch{})
		got, _ := b.update(time.Minute, sess.Key(), store.Update{Change: patch{ttl: 5 * time.Hour}})
		assert.Equal(t, at(90*time.Minute), got.ExpiresAt)
		b.requireStored(got)
	})

	refused := errors.New("refused")
	for name, u := range map[string]store.Update{
		"the change":    {Change: patch{err: refused}},
		"the condition": {Change: patch{inputs: `{"a":2}`}, If: func(schema.Session) error { return refused }},
		"the caller": {Change: patch{inputs: `{"a":2}`}, Allow: func(before, after schema.Sections) error {
			if string(before.Inputs) == `{"a":1}` && string(after.Inputs) == `{"a":2}` {
				return refused
			}
			return nil
		}},
		"the caller, for no change": {Change: patch{}, Allow: func(schema.Sections, schema.Sections) error { return refused }},
	} {
		t.Run("refused by "+name, func(t *testing.T) {
			b := newBench(t, store.Lifetimes{})
			sess := b.created(patch{inputs: `{"a":1}`})
			_, _, err := b.Update(t.Context(), start.Add(time.Minute), sess.Key(), u)
			require.ErrorIs(t, err, refused)
			b.requireStored(sess)
		})
	}

	t.Run("refused by size", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{inputs: `{"a":1}`})
		_, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: large})
		requireTooLarge(t, err)
		b.requireStored(sess)
	})

	t.Run("allowed where nothing of it is another's", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{user: admin})
		sameUser := func(before, after schema.Sections) error {
			if !before.User.Equal(after.User) {
				return refused
			}
			return nil
		}
		again := &schema.User{ID: "ada", Roles: []string{"admin"}}
		got, _ := b.update(0, sess.Key(), store.Update{Change: patch{user: again, inputs: `{"a":1}`}, Allow: sameUser})
		assert.EqualValues(t, 2, got.Revision)
	})

	t.Run("the condition is asked again after a conflict", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		other := store.NewSessions(b.store.Store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Swap": func() {
			_, _, err := other.Update(t.Context(), start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
			require.NoError(t, err)
		}}
		var seen []int64
		_, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{
			Change: patch{inputs: `{"a":2}`},
			If: func(cur schema.Session) error {
				if seen = append(seen, cur.Revision); cur.Revision != sess.Revision {
					return refused
				}
				return nil
			},
		})
		require.ErrorIs(t, err, refused)
		assert.Equal(t, []int64{1, 2}, seen)
	})

	t.Run("of nothing", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		key := backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()}
		_, _, err := b.Update(t.Context(), start, key, store.Update{Change: patch{}})
		require.ErrorIs(t, err, backend.ErrNotFound)
	})
}
