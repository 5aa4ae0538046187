// Package lazydeadline has a context with a deadline that costs no timer until
// somebody waits for it.
package lazydeadline

import (
	"context"
	"sync"
	"time"
)

// Context is a context whose timer starts when somebody first waits for it.
// What answers from memory never does, and a timer for each request costs more
// than its answer. Whoever makes one calls Release.
type Context struct {
	context.Context // the one with the timer, once that runs

	At      time.Time     // when it ends
	Timeout time.Duration // where At is zero: how long after the first wait

	mu     sync.Mutex
	cancel context.CancelFunc // nil before the timer runs
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.arm().Deadline() }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.arm().Done() }

// Err implements context.Context.
func (c *Context) Err() error { return c.arm().Err() }

// Value implements context.Context. It is no wait. Once the timer runs, contexts
// made from this one find it there, and need no goroutine to follow it.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	inner := c.Context
	c.mu.Unlock()
	return inner.Value(key)
}

func (c *Context) arm() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cancel != nil:
	case c.At.IsZero():
		c.Context, c.cancel = context.WithTimeout(c.Context, c.Timeout)
	default:
		c.Context, c.cancel = context.WithDeadline(c.Context, c.At)
	}
	return c.Context
}

// Release frees the timer. Who still waits is told that it is over.
func (c *Context) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}
