package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store/backend"
)

// DefaultPatience is how long the disk may take for a transaction until writers
// stop waiting for it, if nothing else is set. A disk that usually takes longer
// than a quarter of that gets four times what it usually takes, up to maxPatience.
// It is counted in ticks: time in which the process does not run, because its
// machine is busy or asleep, is one tick at most, and nothing to blame the disk for.
const (
	DefaultPatience = 800 * time.Millisecond
	maxPatience     = 10 * time.Second
	usualTimes      = 4
	ticks           = 8
	// lazyTimes is how many times as long it may take where changes need not wait for
	// it: who waits there waits for the disk to keep up.
	lazyTimes = 10
)

var (
	errStuck  = errors.New("the disk takes too long")
	errFailed = errors.New("the data file cannot be written")
	errFull   = errors.New("the volume of the data file is full")
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
	tick time.Duration

	mu    sync.Mutex
	timer *time.Timer
	left  int // ticks; 0 when it has ended
}

func newWatch(patience time.Duration, late func()) *watch {
	w := &watch{late: late, tick: max(1, patience/ticks), left: ticks}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.tick, w.next)
	return w
}

func (w *watch) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		return
	}
	if w.left--; w.left == 0 {
		w.late()
		return
	}
	w.timer.Reset(w.tick)
}

// again begins anew, unless it is too late.
func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 {
		w.left = ticks
	}
}

// end ends it: late has been called when it returns, or never is.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = 0
	w.timer.Stop()
}

// refusal says why a change cannot be made now, nil if it can be tried. ends: it
// ends a session.
func (c *committer) refusal(ends bool) error {
	switch {
	case c.failed.isOn(), c.stuck.isOn():
		return backend.ErrReadOnly
	case c.full.isOn() && !ends:
		return fmt.Errorf("%w: %w", backend.ErrReadOnly, errFull)
	}
	return nil
}

// patience is how long the disk may take now.
func (c *committer) patience() time.Duration {
	return max(c.least, min(usualTimes*c.usual, maxPatience))
}

// usually notes how long a transaction has taken: the longest of late counts, and
// less and less.
func (c *committer) usually(took time.Duration) { c.usual = max(took, c.usual-c.usual/8) }

// watch begins to watch the disk. What it returns ends that.
func (c *committer) watch() *watch {
	patience := c.patience()
	return newWatch(patience, func() {
		c.stuck.set()
		c.log.Warn("the disk is slow: nothing can be changed until it has written what it has", "waited", patience)
	})
}

// watched ends it.
func (c *committer) watched(w *watch) {
	w.end()
	if c.stuck.clear() {
		c.log.Info("the disk has written what it had")
	}
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
		case <-c.full.whenOn():
			cause = errFull
		case <-c.failed.whenOn():
			cause = errFailed
		case <-ctx.Done():
			cause = ctx.Err()
		}
		return fmt.Errorf("%w: waiting for the disk to keep up: %w", backend.ErrReadOnly, cause)
	}
}
