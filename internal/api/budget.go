package api

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// smallBody is the largest body or answer that counts towards no budget:
	// it takes no more than the headers of a request may.
	smallBody = 16 << 10
	// budgetTurn is how long who holds a part of a budget is left alone while
	// others wait for theirs.
	budgetTurn = time.Second
	// budgetPatience is how long one may wait.
	budgetPatience = 5 * time.Second
)

// defaultBodyMemory is the size of the budgets where the options do not say.
const defaultBodyMemory = 32 << 20

// budget bounds the bytes that are held at once. Who asks for more than is left
// waits in line; and while somebody waits, who has had theirs for longest is
// cut off after its turn. So those that send or read slowly, or not at all, get
// time as long as nobody else needs the room.
type budget struct {
	mu      sync.Mutex
	size    int64
	left    int64
	waiting list.List // *hold, in the order in which they came
	holding list.List // *hold, in the order in which they got theirs
	watched bool      // somebody hurries those that hold
}

// hold is a part of a budget. Nil is of none.
type hold struct {
	of    *budget
	bytes int64
	place *list.Element
	got   chan struct{} // closed when it is not waiting any more
	since time.Time
	cut   func()
}

func newBudget(size int64) *budget { return &budget{size: size, left: size} }

// enter returns a part of the budget; what is larger than all of it gets all of
// it. cut must end, soon, what it is held for. Returns errOverloaded if none
// came free in time.
func (b *budget) enter(ctx context.Context, bytes int64, cut func()) (*hold, error) {
	h := &hold{of: b, bytes: min(bytes, b.size), cut: cut, got: make(chan struct{})}
	b.mu.Lock()
	h.place = b.waiting.PushBack(h)
	b.admit()
	if b.waiting.Len() > 0 && !b.watched {
		b.watched = true
		go b.watch()
	}
	b.mu.Unlock()
	select {
	case <-h.got:
		return h, nil
	default:
	}

	ctx, cancel := context.WithTimeout(ctx, budgetPatience)
	defer cancel()
	select {
	case <-h.got:
		return h, nil
	case <-ctx.Done():
		return h.giveUp()
	}
}

// giveUp leaves the line, unless it is over at the last moment.
func (h *hold) giveUp() (*hold, error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	select {
	case <-h.got:
		return h, nil
	default:
	}
	h.of.waiting.Remove(h.place)
	h.of.admit() // those behind it may need less
	return nil, errOverloaded
}

// watch hurries those that hold things up, as long as somebody waits.
func (b *budget) watch() {
	look := time.NewTicker(budgetTurn / 10)
	defer look.Stop()
	for now := range look.C {
		if !b.hurry(now) {
			return
		}
	}
}

// admit gives those in front of the line theirs, as far as it goes.
func (b *budget) admit() {
	for first := b.waiting.Front(); first != nil; first = b.waiting.Front() {
		h, _ := first.Value.(*hold) // the lists hold nothing else
		if h.bytes > b.left {
			return
		}
		b.left -= h.bytes
		b.waiting.Remove(first)
		h.since = time.Now()
		h.place = b.holding.PushBack(h)
		close(h.got)
	}
}

// hurry cuts off so many of those whose turn is over that the first in line
// will get its part. It reports whether anybody waits.
func (b *budget) hurry(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.waiting.Front()
	if first == nil {
		b.watched = false
		return false
	}
	h, _ := first.Value.(*hold)
	missing := h.bytes - b.left
	for e := b.holding.Front(); e != nil && missing > 0; e = e.Next() {
		h, _ := e.Value.(*hold)
		if now.Sub(h.since) < budgetTurn {
			break
		}
		missing -= h.bytes
		if h.cut != nil {
			h.cut()
			h.cut = nil
		}
	}
	return true
}

// keep lets nobody cut it off any more. It reports whether nobody has.
func (h *hold) keep() bool {
	if h == nil {
		return true
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	whole := h.cut != nil
	h.cut = nil
	return whole
}

// leave gives the part back.
func (h *hold) leave() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.cut = nil
	h.of.holding.Remove(h.place)
	h.of.left += h.bytes
	h.of.admit()
}
