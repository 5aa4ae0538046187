package api

import (
	"cmp"
	"sync"
)

// defaultMaxStreams is how many event streams are open at once where the
// options do not say.
const defaultMaxStreams = 100

// streams are the event streams that are open.
type streams struct {
	slots chan struct{}
	// ended is closed when all of them have to end.
	ended chan struct{}
	end   func()
}

func newStreams(limit int) *streams {
	s := &streams{slots: make(chan struct{}, cmp.Or(limit, defaultMaxStreams)), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	return s
}

// enter takes a place, if there is one, until leave is called.
func (s *streams) enter() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *streams) leave() { <-s.slots }

// open is how many there are.
func (s *streams) open() int { return len(s.slots) }
