package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"session-api/internal/store/backend"
)

const (
	// DefaultHeartbeat is how long a stream is silent at most: proxies end
	// connections on which nothing comes, some after ten seconds.
	DefaultHeartbeat = 8 * time.Second

	// settleTime is how long a stream waits before it begins. What Follow fails
	// at once with is still answered as a problem then, and what happens after
	// a client has read the headers is among the events.
	settleTime = 50 * time.Millisecond

	// maxEventID is more than the ID of an event has, in bytes.
	maxEventID = 128
)

var contentTypeEvents = []string{"text/event-stream"}

var errManyStreams = &problem{codeTooManyStreams, "This instance has reached the maximum number of event streams. Try again later."}

// streamEvents sends what happens to sessions until one side ends it, in the
// format of https://html.spec.whatwg.org/multipage/server-sent-events.html. HEAD
// opens no stream: it tells whether the query is right.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	filter, err := newEventFilter(q)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header()["Content-Type"] = contentTypeEvents
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if !s.streams.acquire() {
		return errManyStreams
	}
	defer s.streams.release()
	to := newDeadlines(w, r)
	defer to.beforeWrite() // net/http ends the answer
	if err := s.reachStore(r.Context()); err != nil {
		return err
	}

	ctx, cancel := s.whileAllowed(r, to)
	out := newEventStream(filter)
	var follower sync.WaitGroup
	follower.Go(func() { out.finish(s.follow(ctx, r.Header["Last-Event-Id"], out)) })
	defer follower.Wait() // the store is not asked for a request that is over
	defer cancel()
	settled := time.NewTimer(settleTime)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-s.streams.ended:
	case <-out.finished:
		switch {
		case errors.Is(context.Cause(ctx), errNoService):
			return errNoService
		case !errors.Is(out.err, backend.ErrEventsLost):
			return out.err
		}
	}

	h := w.Header()
	h["Content-Type"] = contentTypeEvents
	h["X-Accel-Buffering"] = []string{"no"} // nginx passes on what comes as it comes
	s.sendEvents(ctx, to, out)
	cancel()
	follower.Wait()
	if !errors.Is(out.err, context.Canceled) {
		s.Logger.WarnContext(r.Context(), "event stream cut off", "error", out.err, "requestId", w.Header().Get(headerRequestID))
	}
	return nil
}

// follow puts events into out, those after the last one that the client has
// seen, and returns why there are no more.
func (s *Server) follow(ctx context.Context, last []string, out *eventStream) error {
	yield := func(ev backend.Event) error { return out.put(ctx, &ev) }
	if id, ok := lastEventID(last); ok {
		err := s.Sessions.Follow(ctx, id, yield)
		if !errors.Is(err, backend.ErrEventsLost) || out.begun() {
			return err
		}
		out.reset()
	} else if len(last) > 0 {
		out.reset()
	}
	return s.Sessions.Follow(ctx, "", yield)
}

// lastEventID returns the ID that a client came back with, if it may be one.
// Whether it is, the store knows.
func lastEventID(values []string) (id string, ok bool) {
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxEventID {
		return "", false
	}
	for _, c := range []byte(values[0]) {
		if c <= ' ' || c >= 0x7f {
			return "", false
		}
	}
	return values[0], true
}

// sendEvents sends what comes into out until the stream has to end.
func (s *Server) sendEvents(ctx context.Context, to *deadlines, out *eventStream) {
	heartbeat := time.NewTicker(cmp.Or(s.Heartbeat, DefaultHeartbeat))
	defer heartbeat.Stop()
	for last := false; ; {
		if _, err := to.Write(out.take()); err != nil {
			return
		}
		to.flush()
		if last {
			return
		}
		select {
		case <-out.ready:
		case <-heartbeat.C:
			out.beat()
		case <-out.finished:
			last = true
		case <-s.streams.ended:
			last = true
		case <-ctx.Done(): // the client left, did not read in time, or may not any more
			return
		}
	}
}

// eventFilter says which events a client wants.
type eventFilter struct {
	namespace string
	userID    string              // empty for everybody's
	types     []backend.EventType // empty for all
}

func newEventFilter(q url.Values) (f eventFilter, err error) {
	if f.namespace, err = namespace(q); err != nil {
		return f, err
	}
	if f.userID, err = userID(q); err != nil {
		return f, err
	}
	for _, name := range q["type"] {
		kind := backend.EventType(name)
		if !slices.Contains(backend.EventTypes, kind) {
			return f, &problem{codeInvalidQuery, "type is created, updated, client_changed, touched, regenerated, deleted, expired or evicted."}
		}
		f.types = append(f.types, kind)
	}
	return f, nil
}

func (f *eventFilter) match(ev *backend.Event) bool {
	return ev.Session.Namespace == f.namespace &&
		(f.userID == "" || ev.UserID == f.userID) &&
		(len(f.types) == 0 || slices.Contains(f.types, ev.Type))
}
