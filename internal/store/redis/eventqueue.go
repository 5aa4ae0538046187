package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// eventQueue holds the events of an instance on a Cluster until they are in the
// stream, which is on another server than the sessions. Changes of sessions do not
// wait for that.
//
// All methods but run may be called on nil, which does nothing.
type eventQueue struct {
	send func(ctx context.Context, events [][]string, lost bool) error

	mu     sync.Mutex
	queue  [][]string
	lost   bool          // events that would stand before the queue are lost
	filled chan struct{} // has something when there is something to send
	// added and settled count the events that were queued, and those of them
	// that were sent or lost. moved is closed when settled moves.
	added, settled uint64
	moved          chan struct{}
	// locked are the keys that are being changed. Their events are to be
	// queued in the order of the changes.
	locked map[string]chan struct{}
}

const (
	// maxQueuedEvents is how many events wait at most: what comes while the stream's
	// server is away for seconds. More are lost, and followers are notified.
	maxQueuedEvents = 16_384
	// publishBatch is how many are sent at once.
	publishBatch = 512
	// publishRetryDelay is between two tries to send.
	publishRetryDelay = 50 * time.Millisecond
)

func newEventQueue(send func(ctx context.Context, events [][]string, lost bool) error) *eventQueue {
	return &eventQueue{send: send, filled: make(chan struct{}, 1), moved: make(chan struct{}), locked: map[string]chan struct{}{}}
}

// add queues events.
func (o *eventQueue) add(events ...[]string) {
	if o == nil || len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.added += uint64(len(events))
	if len(o.queue)+len(events) > maxQueuedEvents {
		// All of them: what is after a gap is of no more use than none.
		o.settle(len(o.queue) + len(events))
		o.queue, o.lost = nil, true
	} else {
		o.queue = append(o.queue, events...)
	}
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// settle counts events that are sent or lost. The queue is locked.
func (o *eventQueue) settle(n int) {
	o.settled += uint64(n) //nolint:gosec // a length
	close(o.moved)
	o.moved = make(chan struct{})
}

// wait waits until what is queued by now is sent or lost.
func (o *eventQueue) wait(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for until := o.added; o.settled < until; {
		moved := o.moved
		o.mu.Unlock()
		var err error
		select {
		case <-moved:
		case <-ctx.Done():
			err = ctx.Err()
		}
		o.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// take takes the next events to send.
func (o *eventQueue) take() (events [][]string, lost bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.queue), publishBatch)
	events, o.queue = o.queue[:n:n], o.queue[n:]
	lost, o.lost = o.lost, false
	return events, lost
}

// run sends what is queued until closed ends, and then what is left.
func (o *eventQueue) run(closed context.Context) {
	ctx := context.WithoutCancel(closed)
	for closed.Err() == nil {
		filled, again := o.filled, (<-chan time.Time)(nil)
		if !o.flush(ctx) {
			filled, again = nil, time.After(publishRetryDelay)
		}
		select {
		case <-filled:
		case <-again:
		case <-closed.Done():
		}
	}
	o.flush(ctx)
}

// flush sends what is queued, and reports whether it could. What could not be
// sent may have been: sending it again might duplicate it.
func (o *eventQueue) flush(ctx context.Context) bool {
	for {
		events, lost := o.take()
		if len(events) == 0 && !lost {
			return true
		}
		err := o.send(ctx, events, lost)
		o.mu.Lock()
		o.lost = o.lost || err != nil
		o.settle(len(events))
		o.mu.Unlock()
		if err != nil {
			return false
		}
	}
}

// lockKeys locks the keys of sessions that are about to change.
func (o *eventQueue) lockKeys(ctx context.Context, names ...string) (done func(), err error) {
	if o == nil {
		return func() {}, nil
	}
	slices.Sort(names) // one order for all, so that there is no deadlock
	names = slices.Compact(names)
	for i, name := range names {
		if err := o.lockKey(ctx, name); err != nil {
			o.unlockKeys(names[:i])
			return nil, err
		}
	}
	return func() { o.unlockKeys(names) }, nil
}

func (o *eventQueue) lockKey(ctx context.Context, name string) error {
	for {
		o.mu.Lock()
		busy, taken := o.locked[name]
		if !taken {
			o.locked[name] = make(chan struct{})
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errNotBegun, ctx.Err())
		}
	}
}

func (o *eventQueue) unlockKeys(names []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range names {
		close(o.locked[name])
		delete(o.locked, name)
	}
}
