package bolt

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long the disk may take for a transaction until writers stop
// waiting for it.
const patience = 900 * time.Millisecond

// signal is on or off, and can be waited for to be either.
type signal struct {
	mu      sync.Mutex
	on, off atomic.Pointer[chan struct{}]
	cleared int // how often
}

func (s *signal) init() {
	on := make(chan struct{})
	s.on.Store(&on)
}

// isOn reports whether it is on.
func (s *signal) isOn() bool { return s.off.Load() != nil }

// whenOn is closed when it is, or will be, on.
func (s *signal) whenOn() <-chan struct{} { return *s.on.Load() }

// whenOff is closed once it is off; nil where it is off now.
func (s *signal) whenOff() <-chan struct{} {
	if off := s.off.Load(); off != nil {
		return *off
	}
	return nil
}

// set switches it on.
func (s *signal) set() { s.setter()() }

// setter returns what switches it on, unless it has been cleared since: a timer
// may be late. That returns whether it did.
func (s *signal) setter() func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cleared := s.cleared
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.isOn() || s.cleared != cleared {
			return false
		}
		off := make(chan struct{})
		s.off.Store(&off)
		close(*s.on.Load())
		return true
	}
}

// clear switches it off. It reports whether it was on.
func (s *signal) clear() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleared++
	off := s.off.Load()
	if off == nil {
		return false
	}
	s.init()
	s.off.Store(nil)
	close(*off)
	return true
}

// pass waits until the disk keeps up with those who do not wait for it. Returns
// false if it takes too long, or fails.
func (c *committer) pass(ctx context.Context) bool {
	caughtUp := c.behind.whenOff()
	if caughtUp == nil {
		return true
	}
	select {
	case <-caughtUp:
		return true
	case <-c.stuck.whenOn():
		return false
	case <-c.failed.whenOn():
		return false
	case <-ctx.Done():
		return false
	}
}
