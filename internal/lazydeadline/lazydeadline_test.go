package lazydeadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/lazydeadline"
)

type contextKey struct{}

func TestEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		parent := context.WithValue(t.Context(), contextKey{}, "value")
		c := &lazydeadline.Context{Context: parent, At: start.Add(time.Second)}
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
		c.Release()
	})
}

// Nobody waited, and the time is over all the same.
func TestNeedsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &lazydeadline.Context{Context: t.Context(), At: time.Now().Add(time.Second)}
		<-time.After(2 * time.Second)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		c.Release()
	})
}

// To ask for a value is not to wait.
func TestCountsFromTheFirstWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), contextKey{}, "value")
		c := &lazydeadline.Context{Context: parent, Timeout: time.Second}
		assert.Equal(t, "value", c.Value(contextKey{}))
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
		c.Release()
	})
}

func TestEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Minute)
		c := &lazydeadline.Context{Context: parent, At: time.Now().Add(time.Hour)}
		at, _ := c.Deadline()
		assert.Equal(t, time.Now().Add(time.Minute), at)
		child, cancelChild := context.WithTimeout(c, 2*time.Hour)
		defer cancelChild()
		cancel()
		<-child.Done()
		require.ErrorIs(t, child.Err(), context.Canceled)
		c.Release()
	})
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		c := &lazydeadline.Context{Context: parent, Timeout: time.Hour}
		defer c.Release()
		ended := make(chan struct{})
		go func() { <-c.Done(); close(ended) }()
		synctest.Wait()
		cancel()
		<-ended
		require.ErrorIs(t, c.Err(), context.Canceled)
	})
}

// Who waits is let go; synctest fails if a goroutine is left.
func TestReleases(t *testing.T) {
	for name, set := range map[string]func(*lazydeadline.Context){
		"at a time":       func(c *lazydeadline.Context) { c.At = time.Now().Add(time.Hour) },
		"after a timeout": func(c *lazydeadline.Context) { c.Timeout = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &lazydeadline.Context{Context: t.Context()}
				set(c)
				child, cancel := context.WithCancel(c)
				defer cancel()
				ended, childEnded := make(chan struct{}), make(chan struct{})
				go func() { <-c.Done(); close(ended) }()
				go func() { <-child.Done(); close(childEnded) }()
				synctest.Wait()
				c.Release()
				<-ended
				<-childEnded
				require.ErrorIs(t, c.Err(), context.Canceled)
			})
		})
	}
	(&lazydeadline.Context{Context: t.Context()}).Release() // nobody ever waited
}
