package api

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallBody is the largest body or answer that counts towards no budget:
	// it takes no more than the headers of a request may.
	smallBody = 16 << 10
	// budgetTurn is how long who holds a part of a budget is left alone while
	// others wait for theirs.
	budgetTurn = time.Second
	// budgetStall is budgetTurn for a body of which nothing comes.
	budgetStall = budgetTurn / 2
	// budgetPatience is how long one may wait.
	budgetPatience = 5 * time.Second
	// budgetShares: one client has at most one in so many parts of a budget.
	budgetShares = 2
)

// DefaultBodyMemory is Options.MaxBodyMemory where that is 0.
const DefaultBodyMemory = 32 << 20

// budget bounds the bytes that are held at once, in all and by one client. Who
// asks for more than is left waits in line; of those, the client that holds the
// least is next. While somebody waits, those that get on with nothing are cut
// off first, and then those who have had theirs for longer than a turn. So those
// that send or read slowly, or not at all, get time as long as nobody else needs
// the room.
type budget struct {
	mu      sync.Mutex
	size    int64
	left    int64
	lines   []*account // of those with somebody in line
	asked   uint64     // how many have been in line
	clients map[string]*account
	holding list.List // *hold, in the order in which they got theirs
	watched bool      // somebody hurries those that hold
	// ofBodies: those that hold tell when they get on.
	ofBodies bool
}

// account is what one client has of a budget.
type account struct {
	client string // empty for those that have no limit: trusted proxies
	held   int64
	line   list.List // *hold, in the order in which they came
	holds  int       // in line, or with a part
}

// hold is a part of a budget. Nil is of none.
type hold struct {
	of    *budget
	by    *account
	bytes int64
	nth   uint64 // to come to the line
	place *list.Element
	got   chan struct{} // closed when it is not waiting any more
	since time.Time
	cut   func()
	ended bool // by cut
	// moved is when something of the body came last, or 0; in nanoseconds after
	// since.
	moved atomic.Int64
}

func newBudget(size int64) *budget {
	return &budget{size: size, left: size, clients: make(map[string]*account)}
}

// account returns a client's.
func (b *budget) account(client string) *account {
	a := b.clients[client]
	if a == nil {
		a = &account{client: client}
		b.clients[client] = a
	}
	return a
}

// mayHold reports whether a client may hold so much more now. What is larger
// than its share goes alone.
func (b *budget) mayHold(a *account, bytes int64) bool {
	return a.client == "" || a.held == 0 || a.held+bytes <= b.size/budgetShares
}

// next returns who is next in line; nil for nobody.
func (b *budget) next() (found *hold) {
	for _, a := range b.lines {
		h, _ := a.line.Front().Value.(*hold) // the lists hold nothing else
		if !b.mayHold(a, h.bytes) {
			continue
		}
		if found == nil || a.weight() < found.by.weight() || a.weight() == found.by.weight() && h.nth < found.nth {
			found = h
		}
	}
	return found
}

// weight is what counts of what a client holds.
func (a *account) weight() int64 {
	if a.client == "" {
		return 0
	}
	return a.held
}

// quit takes it out of its line.
func (h *hold) quit() {
	a := h.by
	a.line.Remove(h.place)
	if a.line.Len() == 0 {
		h.of.lines = slices.DeleteFunc(h.of.lines, func(other *account) bool { return other == a })
	}
}

// forget ends what the client has for it.
func (h *hold) forget() {
	if h.by.holds--; h.by.holds == 0 {
		delete(h.of.clients, h.by.client)
	}
}

// enter returns a part of the budget for a client; what is larger than all of it
// gets all of it. A client without a name has any share. cut must end, soon,
// what it is held for. Returns errOverloaded if none came free in time.
func (b *budget) enter(ctx context.Context, client string, bytes int64, cut func()) (*hold, error) {
	h := &hold{of: b, bytes: min(bytes, b.size), cut: cut, got: make(chan struct{})}
	b.mu.Lock()
	h.by = b.account(client)
	h.by.holds++
	if h.by.line.Len() == 0 {
		b.lines = append(b.lines, h.by)
	}
	b.asked++
	h.nth = b.asked
	h.place = h.by.line.PushBack(h)
	b.admit()
	if len(b.lines) > 0 && !b.watched {
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
	h.quit()
	h.forget()
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

// admit gives those who are next theirs, as far as it goes.
func (b *budget) admit() {
	for h := b.next(); h != nil && h.bytes <= b.left; h = b.next() {
		h.quit()
		b.left -= h.bytes
		h.by.held += h.bytes
		h.since = time.Now()
		h.place = b.holding.PushBack(h)
		close(h.got)
	}
}

// hurry cuts off so many of those whose turn is over that whoever is next will
// get its part. Where all who wait have their share, one of them will. It
// reports whether anybody waits.
func (b *budget) hurry(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.watched = false
		return false
	}
	if h := b.next(); h != nil {
		b.cutOff(now, h.bytes-b.left, nil)
		return true
	}
	for _, a := range b.lines {
		h, _ := a.line.Front().Value.(*hold)
		b.cutOff(now, a.held+h.bytes-b.size/budgetShares, a)
	}
	return true
}

// cutOff cuts off holds, of one client or of any, that are worth so many bytes
// together: those that have stalled, then those whose turn is over; of the
// client that holds the most, and for longest.
func (b *budget) cutOff(now time.Time, missing int64, of *account) {
	if missing <= 0 {
		return
	}
	var over []*hold
	for e := b.holding.Front(); e != nil; e = e.Next() {
		h, _ := e.Value.(*hold)
		if of != nil && h.by != of {
			continue
		}
		if h.cut == nil { // it was cut off before, and is about to leave; or it is kept
			if h.ended {
				missing -= h.bytes
			}
			continue
		}
		if h.hasStalled(now) || now.Sub(h.since) >= budgetTurn {
			over = append(over, h)
		}
	}
	slices.SortStableFunc(over, func(one, other *hold) int {
		if a := one.hasStalled(now); a != other.hasStalled(now) {
			if a {
				return -1
			}
			return 1
		}
		return cmp.Compare(other.by.weight(), one.by.weight())
	})
	for _, h := range over {
		if missing <= 0 {
			return
		}
		missing -= h.bytes
		h.cut()
		h.cut, h.ended = nil, true
	}
}

// progress notes that something of the body has come.
func (h *hold) progress() { h.moved.Store(int64(time.Since(h.since))) }

// hasStalled reports whether nothing of the body has come for a while.
func (h *hold) hasStalled(now time.Time) bool {
	return h.of.ofBodies && now.Sub(h.since)-time.Duration(h.moved.Load()) >= budgetStall
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
	h.by.held -= h.bytes
	h.forget()
	h.of.admit()
}
