package httpserver

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// shareOfOne is the part of all connections, one in so many, that a client
	// may have without being the first to lose some when they run out.
	shareOfOne = 4
	// longestLine is how many accepted connections wait for room at most. They
	// are part of the reserve of descriptors.
	longestLine = 64
	// lineRetry is how often it is looked for again: a body that is still on its
	// way now may have stalled by then.
	lineRetry = 100 * time.Millisecond
)

// admission decides who gets a connection when all are taken. Its fields are
// under the lock of the connections.
type admission struct {
	share   int
	trusted []netip.Prefix
	clients map[netip.Addr]*client
	heavy   []*client // those with more than a share: fewer than shareOfOne
	line    []*connection
	longest int       // the line
	place   sync.Cond // in the line
	retries bool      // a retry is to come
}

// client is who connects: an address of IPv4, or a network of IPv6 as one
// customer has it. All trusted proxies are one, with any number of connections.
type client struct {
	addr          netip.Addr
	trusted       bool
	open, waiting int // connections, and those in line
}

func newAdmission(most int, trusted []netip.Prefix) admission {
	share := max(1, most/shareOfOne)
	return admission{
		share: share, longest: min(share, longestLine), trusted: trusted, clients: make(map[netip.Addr]*client),
	}
}

// clientPrefix is how many bits of an address of IPv6 tell clients apart: a
// customer gets at least a /64 (RFC 6177), and may use any address in it.
const clientPrefix = 64

// clientOf returns whose connection it is.
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

// count counts one more connection of a client.
func (a *admission) count(of *client) {
	of.open++
	if of.open == a.share+1 && !of.trusted {
		a.heavy = append(a.heavy, of)
	}
}

// discount counts one less.
func (a *admission) discount(of *client) {
	if of.open == a.share+1 && !of.trusted {
		a.heavy = slices.DeleteFunc(a.heavy, func(other *client) bool { return other == of })
	}
	of.open--
	a.forget(of)
}

// weight is how many connections count for a client.
func (of *client) weight() int {
	if of.trusted {
		return 0
	}
	return of.open
}

// heaviest returns the client with the most connections of those with more
// than a share; nil for none.
func (a *admission) heaviest() (found *client) {
	for _, of := range a.heavy {
		if found == nil || of.open > found.open {
			found = of
		}
	}
	return found
}

// join puts a connection at the end of the line. Where the line is full, the
// client with the most in it loses its last; trusted proxies lose none, and
// whoever comes next is left to the kernel.
func (c *connections) join(conn *connection) {
	c.line = append(c.line, conn)
	conn.client.waiting++
	for len(c.line) > c.longest && !c.closing {
		last := 0
		for i, other := range c.line {
			if most := c.line[last].client; other.client == most || other.client.waiting > most.waiting {
				last = i
			}
		}
		if c.line[last].client.trusted {
			c.admitLine()
			c.place.Wait()
			continue
		}
		_ = c.line[last].Close()
		c.tell.CountClosed(ClosedQueued)
		c.quit(last)
	}
}

// quit takes a connection out of the line.
func (a *admission) quit(i int) {
	of := a.line[i].client
	a.line = slices.Delete(a.line, i, i+1)
	of.waiting--
	a.forget(of)
	a.place.Signal()
}

// next returns the place in line of the connection whose turn it is: of the
// client with the fewest connections, the first.
func (a *admission) next() (found int) {
	for i, conn := range a.line {
		if conn.client.weight() < a.line[found].client.weight() {
			found = i
		}
	}
	return found
}

// admitLine admits those in line, as far as there is or can be made room.
func (c *connections) admitLine() {
	for len(c.line) > 0 {
		next := c.next()
		conn := c.line[next]
		if c.open >= c.most && !c.closing && !c.makeRoom(conn.client) {
			break
		}
		c.admit(conn)
		c.quit(next)
	}
	if len(c.line) > 0 && !c.retries {
		c.retries = true
		time.AfterFunc(lineRetry, c.retry)
	}
}

func (c *connections) retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retries = false
	c.admitLine()
}

// makeRoom closes a connection for a client to have one more, and reports
// whether it has found one. The first to go is one whose body has stalled. Then
// the client with the most connections, if it has more than a share, loses one
// without a request, or, to a client with fewer, the one with the oldest. Then
// it is the turn of whichever has waited longest for a request.
func (c *connections) makeRoom(by *client) bool {
	reason, victim := ClosedStalled, c.stalled()
	heaviest := c.heaviest()
	if victim == nil && heaviest != nil {
		reason, victim = ClosedIdle, c.waiting.first(heaviest)
		if victim == nil && by.weight()+1 < heaviest.open {
			reason = ClosedShare
			if victim = c.sending.first(heaviest); victim == nil {
				victim = c.busy.first(heaviest)
			}
		}
	}
	if victim == nil && by.weight() <= c.share {
		reason, victim = ClosedIdle, c.waiting.first(nil)
	}
	if victim == nil {
		return false
	}
	c.tell.CountClosed(reason)
	c.end(victim)
	return true
}

// stalled returns the connection whose body has stalled, of the client with the
// most connections; nil for none.
func (c *connections) stalled() (found *connection) {
	now := c.bodies.now()
	for p := c.sending.after; p != &c.sending && now-p.conn.body.began >= stallTime; p = p.after {
		if c.bodies.hasStalled(&p.conn.body, now) && (found == nil || p.conn.client.weight() > found.client.weight()) {
			found = p.conn
		}
	}
	return found
}
