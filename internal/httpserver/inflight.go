package httpserver

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// inFlight counts running handlers, so that what they use can be closed after
// the last of them.
type inFlight struct {
	running atomic.Int64
	ended   atomic.Bool
	none    chan struct{}
	once    sync.Once
}

func newInFlight() *inFlight { return &inFlight{none: make(chan struct{})} }

// count wraps next to count its requests.
func (h *inFlight) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.running.Add(1)
		defer h.leave()
		if h.ended.Load() { // read before its connection was closed
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

func (h *inFlight) leave() {
	if h.running.Add(-1) == 0 && h.ended.Load() {
		h.once.Do(func() { close(h.none) })
	}
}

// wait aborts requests that begin from now on, and returns when no handler runs.
func (h *inFlight) wait() {
	h.ended.Store(true)
	h.running.Add(1)
	h.leave()
	<-h.none
}
