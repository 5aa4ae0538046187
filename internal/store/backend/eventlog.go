package backend

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// EventLog keeps the last events of a store that is in one process, for any
// number of followers. A follower reads them at its own pace, and nobody who
// publishes ever waits for one. It costs next to nothing until there is a
// follower: nobody can ask for what came before the first.
//
// An event's ID is the log's name and the event's number. The name is another
// for each log, so that an ID of an earlier process means nothing to this one.
type EventLog struct {
	name string
	size uint64
	// followed is set by the first follower, and stays.
	followed atomic.Bool

	mu   sync.Mutex
	ring []Event // the event of number n is at n % size; it grows up to size
	next uint64  // the number of the next event
	// woken is closed by the next event; nil if nobody waits for one.
	woken chan struct{}
}

// DefaultEvents is how many events a store keeps where its options do not say.
const DefaultEvents = 10_000

// NewEventLog returns a log of that many events.
func NewEventLog(size int) *EventLog {
	return &EventLog{name: strings.ToLower(rand.Text()[:10]), size: uint64(max(size, 1))}
}

// Publish adds an event. Its ID is not looked at.
func (l *EventLog) Publish(ev *Event) {
	if !l.followed.Load() {
		return
	}
	kept := *ev
	// A copy: the ids may be parts of all that a request says.
	ids := ev.Session.Namespace + ev.Session.ID + ev.Previous
	namespace, id := len(ev.Session.Namespace), len(ev.Session.ID)
	kept.Session.Namespace, kept.Session.ID, kept.Previous = ids[:namespace], ids[namespace:namespace+id], ids[namespace+id:]
	l.mu.Lock()
	defer l.mu.Unlock()
	if uint64(len(l.ring)) < l.size {
		l.ring = append(l.ring, kept)
	} else {
		l.ring[l.next%l.size] = kept
	}
	l.next++
	if l.woken != nil {
		close(l.woken)
		l.woken = nil
	}
}

// eventBatch is how many events a follower takes at a time.
const eventBatch = 64

// Follow is Store.Follow.
func (l *EventLog) Follow(ctx context.Context, after string, yield func(Event) error) error {
	next, err := l.start(after)
	if err != nil {
		return err
	}
	var buf [eventBatch]Event
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, woken, err := l.read(next, &buf)
		if err != nil {
			return err
		}
		for i := range buf[:n] {
			if err := ctx.Err(); err != nil {
				return err
			}
			buf[i].ID = l.id(next)
			if err := yield(buf[i]); err != nil {
				return err
			}
			next++
		}
		if n > 0 {
			continue
		}
		select {
		case <-woken:
		case <-ctx.Done():
		}
	}
}

// start returns the number of the first event that a follower gets.
func (l *EventLog) start(after string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followed.Store(true)
	if after == "" {
		return l.next, nil
	}
	n, ok := l.number(after)
	if !ok || n >= l.next {
		return 0, ErrEventsLost
	}
	return n + 1, nil
}

// read copies the events from that number on, as many as there are and fit. If
// there are none, woken is closed once there are.
func (l *EventLog) read(from uint64, to *[eventBatch]Event) (n int, woken <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from+uint64(len(l.ring)) < l.next {
		return 0, nil, ErrEventsLost
	}
	for ; n < len(to) && from < l.next; n++ {
		to[n] = l.ring[from%l.size]
		from++
	}
	if n == 0 && l.woken == nil {
		l.woken = make(chan struct{})
	}
	return n, l.woken, nil
}

func (l *EventLog) id(number uint64) string {
	return l.name + "-" + strconv.FormatUint(number, 10)
}

// number is the reverse of id. It accepts no other spelling.
func (l *EventLog) number(id string) (uint64, bool) {
	digits, ok := strings.CutPrefix(id, l.name+"-")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && l.id(n) == id
}
