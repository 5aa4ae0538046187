package bolt

import "time"

// MaxSpare is how much a file may hold beside twice what is live.
const MaxSpare = maxSpare

// BatchRetract is how many entries one batch takes back at most.
const BatchRetract = batchRetract

// LookAtClocks is LookAtClock with another reading of the clock that nobody sets:
// so long after the start.
func (s *Store) LookAtClocks(now time.Time, sinceStart time.Duration) {
	s.lookAtClock(now, sinceStart+time.Millisecond)
}
