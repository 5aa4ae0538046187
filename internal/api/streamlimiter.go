package api

import (
	"cmp"
	"sync"
)

// defaultMaxStreams is how many event streams are open at once where the
// options do not say.
const defaultMaxStreams = 100

// streamLimiter are the event streams that are open.
type streamLimiter struct {
	slots chan struct{}
	// ended is closed when all of them have to end.
	ended chan struct{}
	end   func()
}

func newStreamLimiter(limit int) *streamLimiter {
	s := &streamLimiter{slots: make(chan struct{}, cmp.Or(limit, defaultMaxStreams)), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	return s
}

// acquire takes a place, if there is one, until leave is called.
func (s *streamLimiter) acquire() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *streamLimiter) release() { <-s.slots }

// open is how many there are.
func (s *streamLimiter) open() int { return len(s.slots) }
