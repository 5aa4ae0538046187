package api

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/store"
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
	// it is told of the place anyway: one that comes back from too far behind
	// would be reset without having missed anything.
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
	// place is the ID of the last event that came by. The client does not know
	// of it if unsaid is more than 0, by so many events.
	place  string
	unsaid int
}

func newEventStream(filter eventFilter) *eventStream {
	return &eventStream{
		filter: filter, ready: make(chan struct{}, 1), taken: make(chan struct{}, 1), finished: make(chan struct{}),
		pending: []byte(retryHint),
	}
}

// put adds an event if it is one that the client wants. It waits for room.
func (o *eventStream) put(ctx context.Context, ev *store.Event) error {
	for !o.add(ev) {
		select {
		case <-o.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (o *eventStream) add(ev *store.Event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) >= maxPendingEvents {
		return false
	}
	o.place = ev.ID
	if o.filter.match(ev) {
		o.unsaid = 0
		o.pending = appendEvent(o.pending, ev)
		signal(o.ready)
	} else if o.unsaid++; o.unsaid == idEvery {
		o.sayPlace()
		o.pending = append(o.pending, '\n')
		signal(o.ready)
	}
	return true
}

// sayPlace adds the line with the last event's ID.
func (o *eventStream) sayPlace() {
	o.unsaid = 0
	o.pending = append(append(append(o.pending, "id: "...), o.place...), '\n')
}

// beat adds a comment, and the place if the client does not know it.
func (o *eventStream) beat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, ":\n"...)
	if o.unsaid > 0 {
		o.sayPlace()
	}
	o.pending = append(o.pending, '\n')
}

// reset adds the event that says so.
func (o *eventStream) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, resetEvent...)
	signal(o.ready)
}

// begun reports whether any event has come by.
func (o *eventStream) begun() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.place != ""
}

// finish says that nothing comes any more, and why.
func (o *eventStream) finish(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(err, store.ErrEventsLost) {
		o.pending = append(o.pending, droppedEvent...)
	}
	o.err = err
	close(o.finished)
}

// take returns what is to be sent. It may be used until the next take.
func (o *eventStream) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.pending
	o.pending, o.spare = o.spare[:0], out
	signal(o.taken)
	return out
}

// signal leaves a token in c, if there is none.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// appendEvent appends the event as a client gets it.
func appendEvent(b []byte, ev *store.Event) []byte {
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
	if !ev.ExpiresAt.IsZero() {
		b = append(ev.ExpiresAt.UTC().AppendFormat(append(b, `,"expiresAt":"`...), eventTime), '"')
	}
	return append(b, "}\n\n"...)
}

const eventTime = "2006-01-02T15:04:05.000Z"
