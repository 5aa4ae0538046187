package api

import (
	"sync"
	"time"
)

const (
	// logInterval is how long a line is not repeated.
	logInterval = time.Minute
	// maxHints and maxNotices are how many different lines there are in that time.
	maxHints   = 100
	maxNotices = 16
)

// logLimiter bounds log lines that any request can cause: it limits the rate of each
// line and the number of different lines.
type logLimiter struct {
	max   int
	mu    sync.Mutex
	given map[string]time.Time
}

func newLogLimiter(most int) *logLimiter {
	return &logLimiter{max: most, given: make(map[string]time.Time)}
}

// allow reports whether a line about the subject may be logged now, and counts it.
func (l *logLimiter) allow(about string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isRecent(l.given[about], now) {
		return false
	}
	if _, known := l.given[about]; !known && len(l.given) >= l.max {
		for other, at := range l.given {
			if !isRecent(at, now) {
				delete(l.given, other)
			}
		}
		if len(l.given) >= l.max {
			return false
		}
	}
	l.given[about] = now
	return true
}

func isRecent(at, now time.Time) bool {
	since := now.Sub(at)
	return since >= 0 && since < logInterval
}
