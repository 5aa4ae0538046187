package admission

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(1)
		failure := errors.New("the work's own")
		require.ErrorIs(t, slots.Do(t.Context(), func() error { return failure }), failure)

		finish := make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- slots.Do(t.Context(), func() error { <-finish; return nil }) }()
		synctest.Wait()

		began := time.Now()
		require.ErrorIs(t, slots.Do(t.Context(), func() error { panic("no slot is free") }), ErrTimeout)
		assert.Equal(t, timeout, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, slots.Do(ctx, func() error { panic("no slot is free") }), context.DeadlineExceeded)

		queued := make(chan error, 1)
		go func() { queued <- slots.Do(t.Context(), func() error { return nil }) }()
		synctest.Wait()
		close(finish)
		require.NoError(t, <-done)
		require.NoError(t, <-queued)
	})
}
