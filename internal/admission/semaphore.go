package admission

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
	// permitTime is how long a permit is safe from being interrupted while others
	// wait.
	permitTime = time.Second
	// stallTimeout is permitTime for a body that does not arrive.
	stallTimeout = permitTime / 2
	// timeout bounds the wait for a permit, and for a slot.
	timeout = 5 * time.Second
	// clientShares: the permits of one client come to at most size/clientShares.
	clientShares = 2
)

// Semaphore is a weighted semaphore that is fair among clients: it bounds the bytes
// in memory at once, in all and for one client. Requests beyond that queue, and the
// client that holds the least is next. While any request is queued, a watchdog
// interrupts permits: first those of bodies that have stalled, then those older than
// permitTime. So slow clients get unlimited time while the memory is not needed.
type Semaphore struct {
	mu       sync.Mutex
	size     int64
	left     int64
	queues   []*clientShare // of the clients with queued permits
	lastSeq  uint64         // of the permit that was queued last
	clients  map[string]*clientShare
	permits  list.List // *Permit, in the order in which they were granted
	watching bool      // watch is running
	// tracksProgress: Progress is called on permits, so that stalls show.
	tracksProgress bool
}

// clientShare is the granted and queued permits of one client.
type clientShare struct {
	client string // empty for trusted proxies, which have no limit
	held   int64
	queue  list.List // *Permit, in the order of arrival
	refs   int       // permits, queued or granted
}

// Permit is a permit of a Semaphore. A nil *Permit holds nothing.
type Permit struct {
	of      *Semaphore
	by      *clientShare
	bytes   int64
	seq     uint64 // orders permits by arrival
	element *list.Element
	granted chan struct{} // closed when it is
	since   time.Time
	// interrupt ends what the permit is held for; nil once it was called, or must
	// not be.
	interrupt   func()
	interrupted bool
	// progressed is when the body was read last, in nanoseconds after since; 0
	// before.
	progressed atomic.Int64
}

// NewSemaphore returns a semaphore of size bytes.
func NewSemaphore(size int64) *Semaphore {
	return &Semaphore{size: size, left: size, clients: make(map[string]*clientShare)}
}

// NewBodySemaphore returns a semaphore of size bytes for bodies that are being read:
// whoever holds a permit calls [Permit.Progress], so that stalls show.
func NewBodySemaphore(size int64) *Semaphore {
	s := NewSemaphore(size)
	s.tracksProgress = true
	return s
}

// share returns the client's share.
func (s *Semaphore) share(client string) *clientShare {
	c := s.clients[client]
	if c == nil {
		c = &clientShare{client: client}
		s.clients[client] = c
	}
	return c
}

// allows reports whether a client may hold that many more bytes now. A permit larger
// than the client's limit is allowed if it is the client's only one.
func (s *Semaphore) allows(c *clientShare, bytes int64) bool {
	return c.client == "" || c.held == 0 || c.held+bytes <= s.size/clientShares
}

// next returns the queued permit to grant next; nil for none.
func (s *Semaphore) next() (found *Permit) {
	for _, c := range s.queues {
		p, _ := c.queue.Front().Value.(*Permit) // the lists hold nothing else
		if !s.allows(c, p.bytes) {
			continue
		}
		if found == nil || c.weight() < found.by.weight() || c.weight() == found.by.weight() && p.seq < found.seq {
			found = p
		}
	}
	return found
}

// weight is what a client holds, for comparison with others.
func (c *clientShare) weight() int64 {
	if c.client == "" {
		return 0
	}
	return c.held
}

// dequeue removes p from its queue.
func (p *Permit) dequeue() {
	c := p.by
	c.queue.Remove(p.element)
	if c.queue.Len() == 0 {
		p.of.queues = slices.DeleteFunc(p.of.queues, func(other *clientShare) bool { return other == c })
	}
}

// unref drops p from its client, and a client without permits.
func (p *Permit) unref() {
	if p.by.refs--; p.by.refs == 0 {
		delete(p.of.clients, p.by.client)
	}
}

// Acquire acquires a permit for the client: for bytes, or for all of the semaphore if
// that is less. A client without a name has no limit of its own. interrupt must soon
// end what the permit is held for. Acquire returns ErrTimeout if the permit was not
// granted within five seconds, or before ctx was done.
func (s *Semaphore) Acquire(ctx context.Context, client string, bytes int64, interrupt func()) (*Permit, error) {
	p := &Permit{of: s, bytes: min(bytes, s.size), interrupt: interrupt, granted: make(chan struct{})}
	s.mu.Lock()
	p.by = s.share(client)
	p.by.refs++
	if p.by.queue.Len() == 0 {
		s.queues = append(s.queues, p.by)
	}
	s.lastSeq++
	p.seq = s.lastSeq
	p.element = p.by.queue.PushBack(p)
	s.admit()
	if len(s.queues) > 0 && !s.watching {
		s.watching = true
		go s.watch()
	}
	s.mu.Unlock()
	select {
	case <-p.granted:
		return p, nil
	default:
	}

	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-p.granted:
		return p, nil
	case <-ctx.Done():
		return p.abandon()
	}
}

// abandon dequeues p, unless it was granted at the last moment.
func (p *Permit) abandon() (*Permit, error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	select {
	case <-p.granted:
		return p, nil
	default:
	}
	p.dequeue()
	p.unref()
	p.of.admit() // those behind it may be smaller
	return nil, ErrTimeout
}

// watch calls reclaim as long as permits are queued.
func (s *Semaphore) watch() {
	look := time.NewTicker(permitTime / 10)
	defer look.Stop()
	for now := range look.C {
		if !s.reclaim(now) {
			return
		}
	}
}

// admit grants queued permits as far as there is room.
func (s *Semaphore) admit() {
	for p := s.next(); p != nil && p.bytes <= s.left; p = s.next() {
		p.dequeue()
		s.left -= p.bytes
		p.by.held += p.bytes
		p.since = time.Now()
		p.element = s.permits.PushBack(p)
		close(p.granted)
	}
}

// reclaim interrupts as many permits as the next one in the queue needs. Where all
// queued clients are at their limits, it does so within each of them. It reports
// whether any permit is queued.
func (s *Semaphore) reclaim(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queues) == 0 {
		s.watching = false
		return false
	}
	if p := s.next(); p != nil {
		s.interruptStalled(now, p.bytes-s.left, nil)
		return true
	}
	for _, c := range s.queues {
		p, _ := c.queue.Front().Value.(*Permit)
		s.interruptStalled(now, c.held+p.bytes-s.size/clientShares, c)
	}
	return true
}

// interruptStalled interrupts permits, of one client or of any, that come to so many
// bytes: those of stalled bodies first, then those of the client that holds the
// most, the oldest first.
func (s *Semaphore) interruptStalled(now time.Time, missing int64, of *clientShare) {
	if missing <= 0 {
		return
	}
	var over []*Permit
	for e := s.permits.Front(); e != nil; e = e.Next() {
		p, _ := e.Value.(*Permit)
		if of != nil && p.by != of {
			continue
		}
		if p.interrupt == nil { // it was called before, and the permit is about to be released; or it is pinned
			if p.interrupted {
				missing -= p.bytes
			}
			continue
		}
		if p.stalled(now) || now.Sub(p.since) >= permitTime {
			over = append(over, p)
		}
	}
	slices.SortStableFunc(over, func(one, other *Permit) int {
		if stalled := one.stalled(now); stalled != other.stalled(now) {
			if stalled {
				return -1
			}
			return 1
		}
		return cmp.Compare(other.by.weight(), one.by.weight())
	})
	for _, p := range over {
		if missing <= 0 {
			return
		}
		missing -= p.bytes
		p.interrupt()
		p.interrupt, p.interrupted = nil, true
	}
}

// Progress records that something of the body has arrived.
func (p *Permit) Progress() { p.progressed.Store(int64(time.Since(p.since))) }

// stalled reports whether nothing of the body has arrived for stallTimeout.
func (p *Permit) stalled(now time.Time) bool {
	return p.of.tracksProgress && now.Sub(p.since)-time.Duration(p.progressed.Load()) >= stallTimeout
}

// Pin protects p from being interrupted from now on. It reports whether it has not
// been.
func (p *Permit) Pin() bool {
	if p == nil {
		return true
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	whole := p.interrupt != nil
	p.interrupt = nil
	return whole
}

// Release returns the permit.
func (p *Permit) Release() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.interrupt = nil
	p.of.permits.Remove(p.element)
	p.of.left += p.bytes
	p.by.held -= p.bytes
	p.unref()
	p.of.admit()
}
