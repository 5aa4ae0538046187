package bolt

import "time"

// LookAtClocks is LookAtClock with another reading of the clock that nobody sets:
// so long after the start.
func (s *Store) LookAtClocks(now time.Time, sinceStart time.Duration) {
	s.lookAtClock(now, sinceStart+time.Millisecond)
}
