package cleanup

import (
	"sync"
	"time"
)

const (
	// minHold is how long nothing is deleted after the clock was put forward,
	// where the grace is shorter.
	minHold = time.Minute
	// maxDrift is how much two good clocks may part: 1 in so many.
	maxDrift = 1000
)

// clock is the wall clock, watched. Ages of files come from it, so that when
// somebody puts it forward, all files are old at once, and sessions that refer
// to them have expired. Therefore nothing counts as old until the clock has gone
// as it should for the grace.
//
// A machine that was suspended looks the same, and costs one run. A clock that
// was wrong when the job was made is not noticed.
type clock struct {
	now func() time.Time
	// elapsed is as in Options.
	elapsed func() time.Duration
	hold    time.Duration

	mu sync.Mutex
	// wall and steady are what the two showed at the last look.
	wall   time.Time
	steady time.Duration
	// until is when the clock can be trusted again, in elapsed time.
	until time.Duration
}

func newClock(o *Options) *clock {
	c := &clock{now: o.Now, elapsed: o.Elapsed, hold: max(o.Grace, minHold)}
	if c.elapsed != nil {
		c.wall, c.steady = c.read()
	}
	return c
}

// read reads both clocks. What a time.Time knows of its own accord about the
// time that has passed is left out: it would hide what is looked for.
func (c *clock) read() (wall time.Time, steady time.Duration) {
	return c.now().Round(0), c.elapsed()
}

// look returns the time, by how much the clock was put forward since the last
// look, and for how long yet it is not to be trusted.
func (c *clock) look() (now time.Time, jump, hold time.Duration) {
	if c.elapsed == nil {
		return c.now(), 0, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.read()
	passed := steady - c.steady
	if ahead := wall.Sub(c.wall) - passed; ahead > clockSkew+passed/maxDrift {
		jump = ahead
		c.until = steady + c.hold
	}
	c.wall, c.steady = wall, steady
	return wall, jump, max(0, c.until-steady)
}
