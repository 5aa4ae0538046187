package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

func TestAWriterThatWaitsForAnotherGivesUpInTime(t *testing.T) {
	b := newBench(t, store.Lifetimes{})
	sess, err := b.Create(t.Context(), start, "default", &schema.Input{}, nil)
	require.NoError(t, err)
	change, err := (&schema.Rules{}).DecodeInput([]byte(`{"inputs":{"a":1}}`))
	require.NoError(t, err)

	waited := false
	b.store.before = map[string]func(){"Swap": func() { // the first writer has its turn
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := b.Update(ctx, start, sess.Key(), store.Update{Change: change})
		assert.ErrorIs(t, err, backend.ErrUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		waited = true
	}}
	next, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: change})
	require.NoError(t, err)
	assert.True(t, waited)
	assert.EqualValues(t, 2, next.Revision)
}

// A writer that takes long holds up nobody but writers of the same session.
func TestSessionsDoNotWaitForOneAnother(t *testing.T) {
	b := newBench(t, store.Lifetimes{})
	change, err := (&schema.Rules{}).DecodeInput([]byte(`{"inputs":{"a":1}}`))
	require.NoError(t, err)
	var others []backend.Key
	for range 600 { // more than any number of locks that sessions would share
		sess, err := b.Create(t.Context(), start, "default", &schema.Input{}, nil)
		require.NoError(t, err)
		others = append(others, sess.Key())
	}
	slow := others[0]
	b.store.before = map[string]func(){"Swap": func() {
		b.store.before = nil // the others' are not looked at
		for _, key := range others[1:] {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, _, err := b.Update(ctx, start, key, store.Update{Change: change})
			cancel()
			require.NoError(t, err)
		}
	}}
	_, _, err = b.Update(t.Context(), start, slow, store.Update{Change: change})
	require.NoError(t, err)
}
