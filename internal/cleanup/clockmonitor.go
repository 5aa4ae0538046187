package cleanup

import (
	"sync"
	"time"
)

const (
	// minHold is how long deletions are held after the clock jumped, if the grace
	// period is shorter.
	minHold = time.Minute
	// maxDrift is the largest drift between two good clocks: 1 in maxDrift.
	maxDrift = 1000
)

// clockMonitor notices jumps of the wall clock. Ages of files are measured with it: if
// it is set forward, all files are old at once, and the sessions that refer to them
// have expired. So after a jump, no file counts as old until the clock has been steady
// for the grace period.
//
// A suspended machine looks the same, and costs one run. A clock that was wrong from
// the start is not noticed.
type clockMonitor struct {
	now func() time.Time
	// elapsed is as in Options.
	elapsed func() time.Duration
	hold    time.Duration

	mu sync.Mutex
	// wall and monotonic are the readings of the last check.
	wall      time.Time
	monotonic time.Duration
	// holdUntil is when the clock can be trusted again, in elapsed time.
	holdUntil time.Duration
}

func newClockMonitor(o *Options) *clockMonitor {
	c := &clockMonitor{now: o.Now, elapsed: o.Elapsed, hold: max(o.Grace, minHold)}
	if c.elapsed != nil {
		c.wall, c.monotonic = c.read()
	}
	return c
}

// read reads both clocks. Round strips the monotonic reading from the time: with it,
// Sub would not show a jump.
func (c *clockMonitor) read() (wall time.Time, steady time.Duration) {
	return c.now().Round(0), c.elapsed()
}

// check returns the time, by how much the clock jumped forward since the last check,
// and for how long it is not to be trusted.
func (c *clockMonitor) check() (now time.Time, jump, hold time.Duration) {
	if c.elapsed == nil {
		return c.now(), 0, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.read()
	passed := steady - c.monotonic
	if ahead := wall.Sub(c.wall) - passed; ahead > clockSkew+passed/maxDrift {
		jump = ahead
		c.holdUntil = steady + c.hold
	}
	c.wall, c.monotonic = wall, steady
	return wall, jump, max(0, c.holdUntil-steady)
}
