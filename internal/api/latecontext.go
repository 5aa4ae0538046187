package api

import (
	"context"
	"sync"
	"time"
)

// lateContext is a context with a deadline whose timer starts when somebody
// first waits for it. Stores that answer from memory never do, and a timer for
// each request costs more than their answer.
type lateContext struct {
	context.Context
	at time.Time

	mu     sync.Mutex
	timed  context.Context //nolint:containedctx // this is a context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (c *lateContext) Deadline() (time.Time, bool) {
	if parent, ok := c.Context.Deadline(); ok && parent.Before(c.at) {
		return parent, true
	}
	return c.at, true
}

// Done implements context.Context.
func (c *lateContext) Done() <-chan struct{} { return c.arm().Done() }

// Err implements context.Context.
func (c *lateContext) Err() error { return c.arm().Err() }

// Value implements context.Context. Once the timer runs, contexts made from
// this one find it there, and need no goroutine to follow it.
func (c *lateContext) Value(key any) any {
	c.mu.Lock()
	inner := c.timed
	c.mu.Unlock()
	if inner == nil {
		inner = c.Context
	}
	return inner.Value(key)
}

func (c *lateContext) arm() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.at)
	}
	return c.timed
}

// release frees the timer. Who still waits is told that it is over.
func (c *lateContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}
