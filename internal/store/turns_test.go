package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
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
		assert.ErrorIs(t, err, store.ErrUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		waited = true
	}}
	next, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: change})
	require.NoError(t, err)
	assert.True(t, waited)
	assert.EqualValues(t, 2, next.Revision)
}
