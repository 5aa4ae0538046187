package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// tokenCheckInterval is how often the end of the service token of a long response is
	// looked at. A timer for that moment would miss a clock that is set.
	tokenCheckInterval = 250 * time.Millisecond
	// withdrawGrace is how long a response has to end by itself once its service token is
	// not valid any more. Then what it reads or writes fails.
	withdrawGrace = 250 * time.Millisecond
)

// whileAllowed returns the context of a response that may take long. It ends with the
// request's, and with errNoService as its cause within a second of the moment from which on
// the service token does not allow the request any more: when it expires, and when the
// tokens are read again. to are the response's deadlines. stop must be called before the
// handler returns.
func (s *Server) whileAllowed(r *http.Request, to *deadlines) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	var watcher sync.WaitGroup
	ended := make(chan struct{})
	watcher.Go(func() {
		if !s.awaitWithdrawal(ctx, r) {
			return
		}
		cancel(errNoService)
		select {
		case <-ended:
		case <-time.After(withdrawGrace):
			to.abort()
		}
	})
	return ctx, sync.OnceFunc(func() {
		cancel(nil)
		close(ended)
		watcher.Wait() // the connection may have its next request, which has deadlines of its own
	})
}

// awaitWithdrawal returns true when the service token of a request does not allow it any
// more, and false when ctx ends.
func (s *Server) awaitWithdrawal(ctx context.Context, r *http.Request) bool {
	for {
		k := s.keys.Load()
		expires, allowed := s.stillAllows(k, r)
		if !allowed {
			return true
		}
		var tick <-chan time.Time
		if expires {
			tick = time.After(tokenCheckInterval)
		}
		select {
		case <-ctx.Done():
			return false
		case <-k.replaced:
		case <-tick:
		}
	}
}

// stillAllows reports whether a request would be allowed by the service tokens that now
// are in use, and whether the one that allows it expires.
func (s *Server) stillAllows(k *keys, r *http.Request) (expires, allowed bool) {
	c := stateOf(r)
	if c.caller == nil { // the service routes were open
		return false, k.services.Len() == 0
	}
	t := k.services.FindSum(c.caller.Sum)
	if t == nil || s.invalidity(r, t) != "" || c.endpoint.permit(r, t) != nil {
		return false, false
	}
	return !t.Expires.IsZero(), true
}
