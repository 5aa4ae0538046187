package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store"
)

// patience is how long the disk may take for a transaction until writers stop
// waiting for it. It is counted in ticks: time in which the process does not
// run, because its machine is busy or asleep, is one tick at most, and nothing
// to blame the disk for.
const (
	patience = 800 * time.Millisecond
	tick     = patience / 8
)

var (
	errStuck  = errors.New("the disk takes too long")
	errFailed = errors.New("the data file cannot be written")
)

// signal is on or off, and can be waited for to be on.
type signal struct {
	mu    sync.Mutex
	on    atomic.Pointer[chan struct{}] // closed while it is
	state atomic.Bool
}

func (s *signal) init() {
	on := make(chan struct{})
	s.on.Store(&on)
}

// isOn reports whether it is on.
func (s *signal) isOn() bool { return s.state.Load() }

// whenOn is closed when it is, or will be, on.
func (s *signal) whenOn() <-chan struct{} { return *s.on.Load() }

// set switches it on. It reports whether it was off.
func (s *signal) set() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOn() {
		return false
	}
	s.state.Store(true)
	close(*s.on.Load())
	return true
}

// clear switches it off. It reports whether it was on.
func (s *signal) clear() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isOn() {
		return false
	}
	s.init()
	s.state.Store(false)
	return true
}

// watch calls late, once, when patience is over.
type watch struct {
	late func()

	mu    sync.Mutex
	timer *time.Timer
	left  int // ticks; 0 when it has ended
}

func newWatch(late func()) *watch {
	w := &watch{late: late, left: int(patience / tick)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(tick, w.tick)
	return w
}

func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		return
	}
	if w.left--; w.left == 0 {
		w.late()
		return
	}
	w.timer.Reset(tick)
}

// again begins anew, unless it is too late.
func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 {
		w.left = int(patience / tick)
	}
}

// end ends it: late has been called when it returns, or never is.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = 0
	w.timer.Stop()
}

// pass waits until the disk keeps up with those who do not wait for it. It fails
// if the disk takes too long, or fails.
func (c *committer) pass(ctx context.Context) error {
	for {
		later, overdue := c.queue.overdue(c.holdBack)
		if !overdue {
			return nil
		}
		var cause error
		select {
		case <-later:
			continue
		case <-c.stuck.whenOn():
			cause = errStuck
		case <-c.failed.whenOn():
			cause = errFailed
		case <-ctx.Done():
			cause = ctx.Err()
		}
		return fmt.Errorf("%w: waiting for the disk to keep up: %w", store.ErrReadOnly, cause)
	}
}
