package bolt

import "time"

// MaxSpare is how much a file may hold beside twice what is live.
const MaxSpare = maxSpare

// BatchRetract is how many entries one batch takes back at most.
const BatchRetract = batchRetract

// ReserveLittle makes the reserve of a store as small as that of a small volume. Most of
// the processor's time that opening a new store takes is to write the usual one: bbolt
// clears pages byte by byte, which the race detector watches.
func ReserveLittle(o *Options) { o.maxReserve = minReserve }

// LookAtClocks is LookAtClock with another reading of the clock that nobody sets:
// so long after the start.
func (s *Store) LookAtClocks(now time.Time, sinceStart time.Duration) {
	s.lookAtClock(now, sinceStart+time.Millisecond)
}
