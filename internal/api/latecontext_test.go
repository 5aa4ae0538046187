package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type contextKey struct{}

func TestLateContextEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		parent := context.WithValue(t.Context(), contextKey{}, "value")
		c := &lateContext{Context: parent, at: start.Add(time.Second)}
		at, ok := c.Deadline()
		assert.True(t, ok)
		assert.Equal(t, start.Add(time.Second), at)
		require.NoError(t, c.Err())
		assert.Equal(t, "value", c.Value(contextKey{}))

		child, cancel := context.WithCancel(c)
		defer cancel()
		<-child.Done()
		assert.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		assert.Equal(t, "value", c.Value(contextKey{}))
		c.release()
	})
}

// Nobody waited, and the time is over all the same.
func TestLateContextNeedsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &lateContext{Context: t.Context(), at: time.Now().Add(time.Second)}
		<-time.After(2 * time.Second)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		c.release()
	})
}

func TestLateContextEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Minute)
		c := &lateContext{Context: parent, at: time.Now().Add(time.Hour)}
		at, _ := c.Deadline()
		assert.Equal(t, time.Now().Add(time.Minute), at)
		child, cancelChild := context.WithTimeout(c, 2*time.Hour)
		defer cancelChild()
		cancel()
		<-child.Done()
		require.ErrorIs(t, child.Err(), context.Canceled)
		c.release()
	})
}

// Who waits is let go; synctest fails if a goroutine is left.
func TestLateContextReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &lateContext{Context: t.Context(), at: time.Now().Add(time.Hour)}
		child, cancel := context.WithCancel(c)
		defer cancel()
		ended := make(chan struct{})
		go func() { <-child.Done(); close(ended) }()
		synctest.Wait()
		c.release()
		<-ended
		require.ErrorIs(t, c.Err(), context.Canceled)

		(&lateContext{Context: t.Context()}).release()
	})
}
