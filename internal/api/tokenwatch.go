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
	c := stateOf(r)
	var tick <-chan time.Time
	if c.caller != nil && !c.caller.Expires.IsZero() {
		ticker := time.NewTicker(tokenCheckInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		k := s.keys.Load()
		if !s.stillAllows(k, r, c) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-k.replaced:
		case <-tick:
		}
	}
}

// stillAllows reports whether the request would be allowed by the present service
// tokens.
func (s *Server) stillAllows(k *keys, r *http.Request, c *requestState) bool {
	if c.caller == nil { // the service routes were open
		return k.services.Len() == 0
	}
	t := k.services.FindSum(c.caller.Sum)
	return t != nil && s.invalidity(r, t) == "" && c.endpoint.permit(r, t) == nil
}
