package httpserver

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// inFlight counts the requests that are being handled, so that the store is not
// closed under one of them.
type inFlight struct {
	running atomic.Int64
	ended   atomic.Bool
	none    chan struct{}
	once    sync.Once
}

func newInFlight() *inFlight { return &inFlight{none: make(chan struct{})} }

// count counts the requests that next handles.
func (h *inFlight) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.running.Add(1)
		defer h.leave()
		if h.ended.Load() { // it was read before its connection was closed
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

// wait lets no request be handled from now on, and returns when none is.
func (h *inFlight) wait() {
	h.ended.Store(true)
	h.running.Add(1)
	h.leave()
	<-h.none
}
