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
	// smallBody is the largest body or answer that needs no permit: it takes no
	// more than the headers of a request may.
	smallBody = 16 << 10
	// permitTime is how long a permit is safe from being interrupted while others
	// wait.
	permitTime = time.Second
	// stallTimeout is permitTime for a body that does not arrive.
	stallTimeout = permitTime / 2
	// admissionTimeout bounds the wait for a permit.
	admissionTimeout = 5 * time.Second
	// clientShares: the permits of one client come to at most size/clientShares.
	clientShares = 2
)

// DefaultBodyMemory is Options.MaxBodyMemory where that is 0.
const DefaultBodyMemory = 32 << 20

// semaphore is a weighted semaphore that is fair among clients: it bounds the bytes
// in memory at once, in all and for one client. Requests beyond that queue, and the
// client that holds the least is next. While any request is queued, a watchdog
// interrupts permits: first those of bodies that have stalled, then those older than
// permitTime. So slow clients get unlimited time while the memory is not needed.
type semaphore struct {
	mu       sync.Mutex
	size     int64
	left     int64
	queues   []*clientShare // of the clients with queued permits
	lastSeq  uint64         // of the permit that was queued last
	clients  map[string]*clientShare
	permits  list.List // *permit, in the order in which they were granted
	watching bool      // watch is running
	// tracksProgress: progress is called on permits, so that stalls show.
	tracksProgress bool
}

// clientShare is the granted and queued permits of one client.
type clientShare struct {
	client string // empty for trusted proxies, which have no limit
	held   int64
	queue  list.List // *permit, in the order of arrival
	refs   int       // permits, queued or granted
}

// permit is a permit of a semaphore. A nil permit holds nothing.
type permit struct {
	of      *semaphore
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

func newSemaphore(size int64) *semaphore {
	return &semaphore{size: size, left: size, clients: make(map[string]*clientShare)}
}

// share returns the client's share.
func (s *semaphore) share(client string) *clientShare {
	c := s.clients[client]
	if c == nil {
		c = &clientShare{client: client}
		s.clients[client] = c
	}
	return c
}

// allows reports whether a client may hold that many more bytes now. A permit larger
// than the client's limit is allowed if it is the client's only one.
func (s *semaphore) allows(c *clientShare, bytes int64) bool {
	return c.client == "" || c.held == 0 || c.held+bytes <= s.size/clientShares
}

// next returns the queued permit to grant next; nil for none.
func (s *semaphore) next() (found *permit) {
	for _, c := range s.queues {
		p, _ := c.queue.Front().Value.(*permit) // the lists hold nothing else
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
func (p *permit) dequeue() {
	c := p.by
	c.queue.Remove(p.element)
	if c.queue.Len() == 0 {
		p.of.queues = slices.DeleteFunc(p.of.queues, func(other *clientShare) bool { return other == c })
	}
}

// unref drops p from its client, and a client without permits.
func (p *permit) unref() {
	if p.by.refs--; p.by.refs == 0 {
		delete(p.of.clients, p.by.client)
	}
}

// acquire acquires a permit for the client: for bytes, or for all of the semaphore if
// that is less. A client without a name has no limit of its own. interrupt must soon
// end what the permit is held for. acquire returns errOverloaded if the permit was not
// granted in time.
func (s *semaphore) acquire(ctx context.Context, client string, bytes int64, interrupt func()) (*permit, error) {
	p := &permit{of: s, bytes: min(bytes, s.size), interrupt: interrupt, granted: make(chan struct{})}
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

	ctx, cancel := context.WithTimeout(ctx, admissionTimeout)
	defer cancel()
	select {
	case <-p.granted:
		return p, nil
	case <-ctx.Done():
		return p.abandon()
	}
}

// abandon dequeues p, unless it was granted at the last moment.
func (p *permit) abandon() (*permit, error) {
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
	return nil, errOverloaded
}

// watch calls reclaim as long as permits are queued.
func (s *semaphore) watch() {
	look := time.NewTicker(permitTime / 10)
	defer look.Stop()
	for now := range look.C {
		if !s.reclaim(now) {
			return
		}
	}
}

// admit grants queued permits as far as there is room.
func (s *semaphore) admit() {
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
func (s *semaphore) reclaim(now time.Time) bool {
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
		p, _ := c.queue.Front().Value.(*permit)
		s.interruptStalled(now, c.held+p.bytes-s.size/clientShares, c)
	}
	return true
}

// interruptStalled interrupts permits, of one client or of any, that come to so many
// bytes: those of stalled bodies first, then those of the client that holds the
// most, the oldest first.
func (s *semaphore) interruptStalled(now time.Time, missing int64, of *clientShare) {
	if missing <= 0 {
		return
	}
	var over []*permit
	for e := s.permits.Front(); e != nil; e = e.Next() {
		p, _ := e.Value.(*permit)
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
	slices.SortStableFunc(over, func(one, other *permit) int {
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

// progress records that something of the body has arrived.
func (p *permit) progress() { p.progressed.Store(int64(time.Since(p.since))) }

// stalled reports whether nothing of the body has arrived for stallTimeout.
func (p *permit) stalled(now time.Time) bool {
	return p.of.tracksProgress && now.Sub(p.since)-time.Duration(p.progressed.Load()) >= stallTimeout
}

// pin protects p from being interrupted from now on. It reports whether it has not
// been.
func (p *permit) pin() bool {
	if p == nil {
		return true
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	whole := p.interrupt != nil
	p.interrupt = nil
	return whole
}

// release returns the permit.
func (p *permit) release() {
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
