package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// recalling is a store that remembers a session as the test says.
type recalling struct {
	backend.Store
	remembers schema.Session
	peeks     int
	lost      bool // the answer of a swap
}

func (r *recalling) Recall(time.Time, backend.Key) (schema.Session, bool) {
	return r.remembers, r.remembers.ID != ""
}

func (r *recalling) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	r.peeks++
	return r.Store.Peek(ctx, now, key)
}

func (r *recalling) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	got, err := r.Store.Swap(ctx, now, old, next)
	if r.lost {
		return schema.Session{}, backend.ErrUnavailable
	}
	return got, err
}

func TestUpdate_recalled(t *testing.T) {
	begin := func(t *testing.T) (*store.Sessions, *recalling, schema.Session) {
		t.Helper()
		r := &recalling{Store: memory.New(memory.Options{})}
		s := store.NewSessions(r, &schema.Rules{MaxBytes: 2000}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
		sess, err := s.Create(t.Context(), at(0), schema.DefaultNamespace, patch{inputs: `{"a":1}`}, nil)
		require.NoError(t, err)
		r.remembers = sess
		return s, r, sess
	}
	update := func(t *testing.T, s *store.Sessions, key backend.Key, u store.Update) (schema.Session, error) {
		t.Helper()
		got, _, err := s.Update(t.Context(), at(time.Minute), key, u)
		return got, err
	}

	t.Run("is not read again", func(t *testing.T) {
		s, r, sess := begin(t)
		got, err := update(t, s, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		require.NoError(t, err)
		assert.EqualValues(t, 2, got.Revision)
		assert.Zero(t, r.peeks)
	})

	t.Run("decides nothing where it is out of date", func(t *testing.T) {
		s, _, sess := begin(t)
		newer, err := update(t, s, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		require.NoError(t, err)
		for name, u := range map[string]store.Update{
			"the condition": {Change: patch{inputs: `{"a":3}`}, If: func(old schema.Session) error {
				if old.Revision != newer.Revision {
					return errors.New("another revision")
				}
				return nil
			}},
			"the change": {Change: patch{inputs: `{"a":1}`}}, // which would be none
			"the swap":   {Change: patch{inputs: `{"b":1}`}},
			"the refusal": {Change: patch{inputs: `{"c":1}`}, Allow: func(before, _ schema.Sections) error {
				if string(before.Inputs) == `{"a":1}` {
					return errors.New("not from there")
				}
				return nil
			}},
		} {
			got, err := update(t, s, sess.Key(), u)
			require.NoError(t, err, name)
			assert.Greater(t, got.Revision, newer.Revision, name)
			newer = got
		}
	})

	t.Run("is gone", func(t *testing.T) {
		s, _, sess := begin(t)
		require.NoError(t, s.End(t.Context(), at(0), sess.Key(), nil))
		_, err := update(t, s, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("was regenerated", func(t *testing.T) {
		s, _, sess := begin(t)
		next, _, err := s.Renew(t.Context(), at(0), sess.Key(), time.Hour)
		require.NoError(t, err)
		got, err := update(t, s, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		require.NoError(t, err)
		assert.Equal(t, next.ID, got.ID)
	})

	t.Run("an answer that is lost is not tried again", func(t *testing.T) {
		s, r, sess := begin(t)
		r.lost = true
		_, err := update(t, s, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		require.ErrorIs(t, err, backend.ErrUnavailable)
		assert.Zero(t, r.peeks)
	})
}
