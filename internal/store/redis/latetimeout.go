package redis

import (
	"context"
	"sync"
	"time"
)

// lateTimeout is a context with a timeout that starts when somebody first has to
// wait. What the client's cache has is read without.
type lateTimeout struct {
	context.Context
	timeout time.Duration

	mu     sync.Mutex
	timed  context.Context //nolint:containedctx // this is a context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (c *lateTimeout) Deadline() (time.Time, bool) { return c.arm().Deadline() }

// Done implements context.Context.
func (c *lateTimeout) Done() <-chan struct{} { return c.arm().Done() }

// Err implements context.Context.
func (c *lateTimeout) Err() error { return c.arm().Err() }

// Value implements context.Context. Contexts made from this one find the timer
// there, and need no goroutine to follow it.
func (c *lateTimeout) Value(key any) any { return c.arm().Value(key) }

func (c *lateTimeout) arm() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithTimeout(c.Context, c.timeout)
	}
	return c.timed
}

// release frees the timer. Who still waits is told that it is over.
func (c *lateTimeout) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}
