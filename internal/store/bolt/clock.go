package bolt

import "time"

// clock is one that nobody sets: it tells the time since it was started.
type clock struct{ started time.Time }

func startClock() clock {
	return clock{time.Now()} //nolint:forbidigo // how long things take is nothing that sessions go by
}

// now is never 0.
func (c clock) now() time.Duration {
	return 1 + time.Since(c.started) //nolint:forbidigo // as above
}
