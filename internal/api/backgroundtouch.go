package api

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

const (
	// maxLateTouches is how many touches for gateways are on their way at once.
	// More are left out: the next request about the session tries again.
	maxLateTouches = 64
	// lateTouchTimeout is how long such a touch may take in all.
	lateTouchTimeout = time.Second
)

// backgroundTouches are the touches that may still be on their way when their gateway
// has its answer. The zero value is ready to use.
type backgroundTouches struct {
	mu      sync.Mutex
	running map[backend.Key]struct{}
	closed  bool
	all     sync.WaitGroup
}

// setCommonHeaders reports whether a touch of the key may start: not beside another of the
// same session, and not beyond maxLateTouches. It is to be ended.
func (t *backgroundTouches) begin(key backend.Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.running[key]; ok || t.closed || len(t.running) >= maxLateTouches {
		return false
	}
	if t.running == nil {
		t.running = make(map[backend.Key]struct{})
	}
	t.running[key] = struct{}{}
	t.all.Add(1)
	return true
}

func (t *backgroundTouches) end(key backend.Key) {
	t.mu.Lock()
	delete(t.running, key)
	t.mu.Unlock()
	t.all.Done()
}

// Settle lets nothing begin any more that goes on after its answer was sent, and
// waits until what has begun is over, or ctx is. The store must not be closed
// before.
func (s *Server) Settle(ctx context.Context) {
	s.touches.mu.Lock()
	s.touches.closed = true
	s.touches.mu.Unlock()
	over := make(chan struct{})
	go func() {
		s.touches.all.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// touchResult is what Touch returns.
type touchResult struct {
	sess schema.Session
	err  error
}

// touch moves a deadline, and says in the log now and then that it cannot.
func (s *Server) touch(parent context.Context, now time.Time, sess *schema.Session, until time.Time) (res touchResult) {
	ctx, cancel := context.WithTimeout(parent, lateTouchTimeout)
	defer cancel()
	defer func() {
		if rec := recover(); rec != nil {
			s.Logger.ErrorContext(ctx, "panic", "value", rec, "stack", string(debug.Stack()))
			res.err = errors.New("panic")
		}
	}()
	res.sess, res.err = s.Sessions.MoveTo(ctx, now, sess, until)
	if res.err != nil && !errors.Is(res.err, backend.ErrNotFound) && s.notices.allow("touch", now) {
		s.Logger.WarnContext(ctx, "authorization requests are admitted, but the deadlines of their sessions cannot be moved", "error", res.err)
	}
	return res
}

// touchInBackground moves the deadline of a session that was read, if it is time. It
// waits for that a third of VerifyTimeout, and not beyond end. What takes longer
// goes on by itself, and what fails changes nothing: the session was read. moved
// reports whether the deadline has moved by now. The only error is
// backend.ErrNotFound: the session has ended since.
func (s *Server) touchInBackground(r *http.Request, now time.Time, id string, sess schema.Session, end time.Time) (_ schema.Session, moved bool, err error) {
	k := defaultKey(id)
	until, due := s.Sessions.Slide(now, k, &sess)
	if !due || !s.touches.begin(k) {
		return sess, false, nil
	}
	done := make(chan touchResult, 1)
	parent := store.WithObserver(context.WithoutCancel(r.Context()), s.observing(r, sess.Facts))
	own := sess // a copy, lest every request allocates what few need
	go func() {
		res := s.touch(parent, now, &own, until)
		s.touches.end(k) // first, so that the next request may begin another
		done <- res
	}()
	timer := time.NewTimer(min(s.VerifyTimeout/3, time.Until(end)))
	defer timer.Stop()
	var res touchResult
	select {
	case res = <-done:
	case <-timer.C:
		select {
		case res = <-done: // both at once
		default:
			return sess, false, nil
		}
	case <-r.Context().Done():
		return sess, false, nil
	}
	switch {
	case res.err == nil:
		return res.sess, true, nil
	case errors.Is(res.err, backend.ErrNotFound):
		return schema.Session{}, false, res.err
	}
	return sess, false, nil
}
