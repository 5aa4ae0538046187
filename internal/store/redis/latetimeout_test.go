package redis

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type contextKey struct{}

func TestLateTimeoutStartsWithTheFirstWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), contextKey{}, "value")
		c := &lateTimeout{Context: parent, timeout: time.Second}
		<-time.After(time.Minute)
		start := time.Now()
		require.NoError(t, c.Err())
		assert.Equal(t, "value", c.Value(contextKey{}))
		at, ok := c.Deadline()
		assert.True(t, ok)
		assert.Equal(t, start.Add(time.Second), at)

		child, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		<-child.Done()
		assert.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		c.release()
	})
}

func TestLateTimeoutEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		c := &lateTimeout{Context: parent, timeout: time.Hour}
		defer c.release()
		ended := make(chan struct{})
		go func() { <-c.Done(); close(ended) }()
		synctest.Wait()
		cancel()
		<-ended
		require.ErrorIs(t, c.Err(), context.Canceled)
	})
}

// Who waits is let go; synctest fails if a goroutine is left.
func TestLateTimeoutReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &lateTimeout{Context: t.Context(), timeout: time.Hour}
		ended := make(chan struct{})
		go func() { <-c.Done(); close(ended) }()
		synctest.Wait()
		c.release()
		<-ended

		(&lateTimeout{Context: t.Context()}).release() // nobody ever waited
	})
}
