package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// recorder is a store.Recorder that keeps what it is told.
type recorder struct {
	acts            []string
	refuse, failing error
}

func (r *recorder) Admit(context.Context) error { return r.refuse }

func (r *recorder) Record(_ context.Context, act *store.Act, known bool) error {
	r.acts = append(r.acts, fmt.Sprintf("%s %s>%s %s %d %t", act.Kind, act.PreviousUserID, act.UserID, act.Reason, act.Count, known))
	return r.failing
}

func (r *recorder) take() []string {
	taken := r.acts
	r.acts = nil
	return taken
}

// lost is a store that has done what it says it may not have done.
type lost struct{ backend.Store }

func (l lost) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	if _, err := l.Store.Swap(ctx, now, old, next); err != nil {
		return schema.Session{}, err
	}
	return schema.Session{}, fmt.Errorf("%w: no answer", backend.ErrUnavailable)
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	b := newBench(t, store.Lifetimes{})
	r := &recorder{}
	ctx := store.WithRecorder(t.Context(), r)
	bob := &schema.User{ID: "bob"}

	sess, err := b.Create(ctx, start, schema.DefaultNamespace, patch{}, nil)
	require.NoError(t, err)
	_, _, err = b.Update(ctx, start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
	require.NoError(t, err)
	require.Empty(t, r.take(), "no user")

	_, _, err = b.Update(ctx, start, sess.Key(), store.Update{Change: patch{user: admin}})
	require.NoError(t, err)
	require.Equal(t, []string{"user_changed >ada  0 true"}, r.take())
	_, _, err = b.Update(ctx, start, sess.Key(), store.Update{Change: patch{user: admin}})
	require.NoError(t, err)
	require.Empty(t, r.take(), "the same user")
	_, _, err = b.Update(ctx, start, sess.Key(), store.Update{Change: patch{user: &schema.User{ID: "ada"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"user_changed ada>ada  0 true"}, r.take(), "other roles")

	sess, err = b.SignIn(ctx, start, sess.Key(), patch{user: bob}, nil)
	require.NoError(t, err)
	sess, _, err = b.Renew(ctx, start, sess.Key(), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"signed_in ada>bob  0 true", "regenerated >bob  0 true"}, r.take())

	// A conflict is no act: what is recorded is what was done in the end.
	b.store.before = map[string]func(){"Swap": func() {
		_, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: patch{inputs: `{"a":2}`}})
		assert.NoError(t, err)
	}}
	key := sess.Key()
	other := store.NewSessions(b.store, &schema.Rules{MaxBytes: 2000}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
	_, _, err = other.Update(ctx, start, key, store.Update{Change: patch{user: admin}})
	require.NoError(t, err)
	require.Equal(t, []string{"user_changed bob>ada  0 true"}, r.take())

	n, err := b.EndSelected(ctx, start, store.Selection{Namespace: schema.DefaultNamespace, Filter: schema.Filter{UserID: "ada"}}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"ended_many >ada  1 true"}, r.take())
	require.ErrorIs(t, b.End(ctx, start, key, nil), backend.ErrNotFound)
	require.Empty(t, r.take(), "there was none")
}

func TestRecorder_refuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, store.Lifetimes{})
	sess := b.created(patch{user: admin})
	errNoRecord := errors.New("no record")
	ctx := store.WithRecorder(t.Context(), &recorder{refuse: errNoRecord})
	refused := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, errNoRecord)
	}
	_, err := b.Create(ctx, start, schema.DefaultNamespace, patch{user: admin}, nil)
	refused(err)
	_, _, err = b.Update(ctx, start, sess.Key(), store.Update{Change: patch{user: &schema.User{ID: "bob"}}})
	refused(err)
	_, err = b.SignIn(ctx, start, sess.Key(), patch{user: admin}, nil)
	refused(err)
	_, _, err = b.Renew(ctx, start, sess.Key(), 0)
	refused(err)
	refused(b.End(ctx, start, sess.Key(), nil))
	_, err = b.EndAll(ctx, start, schema.DefaultNamespace, []string{sess.ID})
	refused(err)
	_, err = b.Clear(ctx, start, backend.Filter{Namespace: schema.DefaultNamespace})
	refused(err)
	_, err = b.EndSelected(ctx, start, store.Selection{Namespace: schema.DefaultNamespace}, nil)
	refused(err)
	b.requireStored(sess)
	n, err := b.Count(t.Context(), start, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// Where the store does not say whether it has done it, that is what the record says, and
// the store's error is the caller's.
func TestRecorder_unknownOutcome(t *testing.T) {
	t.Parallel()
	b := newBench(t, store.Lifetimes{})
	sess := b.created(patch{user: admin})
	r := &recorder{failing: errors.New("no record")}
	sessions := store.NewSessions(lost{b.store}, &schema.Rules{MaxBytes: 2000}, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
	_, _, err := sessions.Update(store.WithRecorder(t.Context(), r), start, sess.Key(), store.Update{Change: patch{user: &schema.User{ID: "bob"}}})
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.Equal(t, []string{"user_changed ada>bob  0 false"}, r.take())

	require.ErrorIs(t, b.End(store.WithRecorder(t.Context(), r), start, sess.Key(), nil), r.failing, "it was done, and there is no record of it")
	require.Equal(t, []string{"ended >bob requested 0 true"}, r.take())
}
