package api

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/store/backend"
)

const (
	// retryHint tells clients to wait two seconds before they come back.
	retryHint = "retry: 2000\n\n"

	// resetEvent: what the client has seen is out of date. It has no id, so
	// that a client which misses it gets it again.
	resetEvent = "event: reset\ndata: {\"type\":\"reset\"}\n\n"

	// droppedEvent: the client was slower than the events.
	droppedEvent = "event: dropped\ndata: {\"type\":\"dropped\"}\n\n"

	// maxPendingEvents is how many bytes wait to be sent before the follower waits, too.
	maxPendingEvents = 64 << 10

	// idEvery is how many events that the client does not want may pass before
	// it gets the last ID anyway: one that comes back from too far behind would be
	// reset without having missed anything.
	idEvery = 256
)

// eventStream buffers what is to be sent on an event stream: a bounded queue
// between one goroutine that puts and one that takes.
type eventStream struct {
	filter eventFilter
	// ready and taken have a token when there is something to take, and when
	// there is room again.
	ready, taken chan struct{}
	// finished is closed when nothing comes any more; err says why.
	finished chan struct{}
	err      error

	mu      sync.Mutex
	pending []byte
	spare   []byte
	// lastID is the ID of the last event, and skipped the number of events since
	// the last ID that the client got.
	lastID  string
	skipped int
}

func newEventStream(filter eventFilter) *eventStream {
	return &eventStream{
		filter: filter, ready: make(chan struct{}, 1), taken: make(chan struct{}, 1), finished: make(chan struct{}),
		pending: []byte(retryHint),
	}
}

// put adds an event if it is one that the client wants. It waits for room.
func (e *eventStream) put(ctx context.Context, ev *backend.Event) error {
	for !e.add(ev) {
		select {
		case <-e.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (e *eventStream) add(ev *backend.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pending) >= maxPendingEvents {
		return false
	}
	e.lastID = ev.ID
	if e.filter.match(ev) {
		e.skipped = 0
		e.pending = appendEvent(e.pending, ev)
		notify(e.ready)
	} else if e.skipped++; e.skipped == idEvery {
		e.appendLastID()
		e.pending = append(e.pending, '\n')
		notify(e.ready)
	}
	return true
}

// appendLastID appends the line with the last event's ID.
func (e *eventStream) appendLastID() {
	e.skipped = 0
	e.pending = append(append(append(e.pending, "id: "...), e.lastID...), '\n')
}

// beat adds a comment, and the last ID if the client does not have it.
func (e *eventStream) beat() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = append(e.pending, ":\n"...)
	if e.skipped > 0 {
		e.appendLastID()
	}
	e.pending = append(e.pending, '\n')
}

// reset adds the event that says so.
func (e *eventStream) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = append(e.pending, resetEvent...)
	notify(e.ready)
}

// begun reports whether any event has come by.
func (e *eventStream) begun() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastID != ""
}

// finish says that nothing comes any more, and why.
func (e *eventStream) finish(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(err, backend.ErrEventsLost) {
		e.pending = append(e.pending, droppedEvent...)
	}
	e.err = err
	close(e.finished)
}

// take returns what is to be sent. It may be used until the next take.
func (e *eventStream) take() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.pending
	e.pending, e.spare = e.spare[:0], out
	notify(e.taken)
	return out
}

// notify leaves a token in c, if there is none.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// appendEvent appends the event as a client gets it.
func appendEvent(b []byte, ev *backend.Event) []byte {
	b = append(append(b, "id: "...), ev.ID...)
	b = append(append(b, "\nevent: "...), ev.Type...)
	b = append(append(b, "\ndata: {\"type\":\""...), ev.Type...)
	b = ev.At.UTC().AppendFormat(append(b, `","at":"`...), eventTime)
	b = append(append(b, `","namespace":"`...), ev.Session.Namespace...)
	b = append(append(b, `","sessionId":"`...), ev.Session.ID...) // nothing in an id needs escaping
	if ev.Previous != "" {
		b = append(append(b, `","previousId":"`...), ev.Previous...)
	}
	b, _ = jsontext.AppendQuote(append(b, `","userId":`...), ev.UserID) // what is not UTF-8 is replaced
	b = strconv.AppendInt(append(b, `,"revision":`...), ev.Revision, 10)
	if ev.Client != "" {
		b, _ = jsontext.AppendQuote(append(b, `,"client":`...), ev.Client)
		b, _ = jsontext.AppendQuote(append(b, `,"previousClient":`...), ev.PreviousClient)
	}
	if !ev.ExpiresAt.IsZero() {
		b = append(ev.ExpiresAt.UTC().AppendFormat(append(b, `,"expiresAt":"`...), eventTime), '"')
	}
	return append(b, "}\n\n"...)
}

const eventTime = "2006-01-02T15:04:05.000Z"
