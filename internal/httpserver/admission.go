package httpserver

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// shareDivisor makes a client's share: with more than MaxConnections divided
	// by it, a client is the first to lose connections when they run out.
	shareDivisor = 4
	// maxQueue bounds how many accepted connections wait for admission. They
	// count towards reservedDescriptors.
	maxQueue = 64
	// queueRetry is how often admission is tried again while the queue is not
	// empty: a body that arrives now may have stalled by then.
	queueRetry = 100 * time.Millisecond
)

// admission decides which client gets a connection when all are taken. The
// mutex of connections guards its fields.
type admission struct {
	share     int
	trusted   []netip.Prefix
	clients   map[netip.Addr]*client
	overShare []*client // clients over their share: fewer than shareDivisor
	queue     []*connection
	maxQueued int
	dequeued  sync.Cond // for the acceptor: the queue is shorter
	retrying  bool      // a retry is scheduled
}

// client is the peer of connections: one IPv4 address, or one IPv6 network of
// clientPrefix bits. All trusted peers together are one client without a limit.
type client struct {
	addr          netip.Addr
	trusted       bool
	open, waiting int // connections, and those in the queue
}

func newAdmission(most int, trusted []netip.Prefix) admission {
	share := max(1, most/shareDivisor)
	return admission{
		share: share, maxQueued: min(share, maxQueue), trusted: trusted, clients: make(map[netip.Addr]*client),
	}
}

// clientPrefix is how many bits of an IPv6 address identify a client: a site
// gets at least a /64 (RFC 6177), and can use any address in it.
const clientPrefix = 64

// clientOf returns the client at a remote address.
func (a *admission) clientOf(remote net.Addr) *client {
	tcp, _ := remote.(*net.TCPAddr)
	addr := tcp.AddrPort().Addr().WithZone("").Unmap()
	trusted := slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
	switch {
	case trusted:
		addr = netip.Addr{}
	case addr.Is6():
		addr = netip.PrefixFrom(addr, clientPrefix).Masked().Addr()
	}
	known := a.clients[addr]
	if known == nil {
		known = &client{addr: addr, trusted: trusted}
		a.clients[addr] = known
	}
	return known
}

// forget removes a client that has no connection left.
func (a *admission) forget(of *client) {
	if of.open == 0 && of.waiting == 0 {
		delete(a.clients, of.addr)
	}
}

// add counts one more connection of a client.
func (a *admission) add(of *client) {
	of.open++
	if of.open == a.share+1 && !of.trusted {
		a.overShare = append(a.overShare, of)
	}
}

// remove counts one connection less of a client.
func (a *admission) remove(of *client) {
	if of.open == a.share+1 && !of.trusted {
		a.overShare = slices.DeleteFunc(a.overShare, func(other *client) bool { return other == of })
	}
	of.open--
	a.forget(of)
}

// countedOpen returns how many connections count against the client: none of a
// trusted peer.
func (of *client) countedOpen() int {
	if of.trusted {
		return 0
	}
	return of.open
}

// largest returns the client with the most connections among those over their
// share, or nil.
func (a *admission) largest() (found *client) {
	for _, of := range a.overShare {
		if found == nil || of.open > found.open {
			found = of
		}
	}
	return found
}

// enqueue appends a connection to the queue. If the queue is full, the client
// with the most connections in it loses its last one. Trusted peers lose none:
// enqueue blocks then, and further connections stay in the kernel's backlog.
func (c *connections) enqueue(conn *connection) {
	c.queue = append(c.queue, conn)
	conn.client.waiting++
	for len(c.queue) > c.maxQueued && !c.closing {
		last := 0
		for i, other := range c.queue {
			if most := c.queue[last].client; other.client == most || other.client.waiting > most.waiting {
				last = i
			}
		}
		if c.queue[last].client.trusted {
			c.admitQueued()
			c.dequeued.Wait()
			continue
		}
		_ = c.queue[last].Close()
		c.observer.CountClosed(ClosedQueued)
		c.dequeue(last)
	}
}

// dequeue removes the connection at index i from the queue.
func (a *admission) dequeue(i int) {
	of := a.queue[i].client
	a.queue = slices.Delete(a.queue, i, i+1)
	of.waiting--
	a.forget(of)
	a.dequeued.Signal()
}

// next returns the index of the connection to admit next: the first one of the
// client with the fewest connections.
func (a *admission) next() (found int) {
	for i, conn := range a.queue {
		if conn.client.countedOpen() < a.queue[found].client.countedOpen() {
			found = i
		}
	}
	return found
}

// admitQueued admits connections from the queue as far as there is, or makeRoom
// makes, room.
func (c *connections) admitQueued() {
	for len(c.queue) > 0 {
		next := c.next()
		conn := c.queue[next]
		if c.open >= c.most && !c.closing && !c.makeRoom(conn.client) {
			break
		}
		c.admit(conn)
		c.dequeue(next)
	}
	if len(c.queue) > 0 && !c.retrying {
		c.retrying = true
		time.AfterFunc(queueRetry, c.retry)
	}
}

func (c *connections) retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retrying = false
	c.admitQueued()
}

// makeRoom closes a connection so that the client can have one more, and reports
// whether there was one to close. In this order it takes
//
//  1. one whose request body has stalled;
//  2. an idle one of the largest client, if that is over its share;
//  3. the one with the oldest request of that client, if by has fewer;
//  4. the one that has been idle longest, if by is within its share.
func (c *connections) makeRoom(by *client) bool {
	reason, victim := ClosedStalled, c.stalled()
	largest := c.largest()
	if victim == nil && largest != nil {
		reason, victim = ClosedIdle, c.waiting.first(largest)
		if victim == nil && by.countedOpen()+1 < largest.open {
			reason = ClosedShare
			if victim = c.sending.first(largest); victim == nil {
				victim = c.busy.first(largest)
			}
		}
	}
	if victim == nil && by.countedOpen() <= c.share {
		reason, victim = ClosedIdle, c.waiting.first(nil)
	}
	if victim == nil {
		return false
	}
	c.observer.CountClosed(reason)
	c.evict(victim)
	return true
}

// stalled returns a connection whose request body has stalled, or nil: one of
// the client with the most connections.
func (c *connections) stalled() (found *connection) {
	now := c.bodies.now()
	for p := c.sending.next; p != &c.sending && now-p.conn.body.began >= stallTimeout; p = p.next {
		if c.bodies.hasStalled(&p.conn.body, now) && (found == nil || p.conn.client.countedOpen() > found.client.countedOpen()) {
			found = p.conn
		}
	}
	return found
}
