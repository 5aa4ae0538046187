package httpserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// connections are those that are open: at most so many. When one more comes,
// another is closed for it, if admission finds one; else it waits in line. So
// neither silent connections nor one client with many of them keep others out.
type connections struct {
	most int
	admission

	mu      sync.Mutex
	news    sync.Cond // for Accept: ready or failed
	open    int
	closing bool // the listener is closed: nobody waits
	ready   []*connection
	failed  error
	// waiting are those without a whole request, busy those with one, and
	// sending those of them whose body is not all there, each in the order in
	// which they came to it: rings that begin and end here.
	waiting, busy, sending place

	bodies bodyPace
	tell   Observer
}

// Observer is told of what no handler sees.
type Observer interface {
	// CountRefused counts an answer of net/http's own.
	CountRefused(status int)
	// CountClosed counts a connection that was closed for another.
	CountClosed(reason CloseReason)
}

// place is that of a connection in one of the rings.
type place struct {
	before, after *place // nil while it is in none
	conn          *connection
	// silent: it waits for its first request.
	silent bool
	// ended: it was closed for another, and is counted no more.
	ended bool
}

// connection has its own place with it, because each request moves it twice.
// As a *net.TCPConn it has all that net/http looks for in one.
type connection struct {
	*net.TCPConn
	conns         *connections
	client        *client
	place         place
	reads, writes deadline
	body          bodyProgress
}

// newConnections returns connections of which trusted peers may have any
// number. Bodies come with at least so many bytes a second.
func newConnections(most int, trusted []netip.Prefix, bytesPerSecond int, tell Observer) *connections {
	c := &connections{most: most, admission: newAdmission(most, trusted), bodies: newBodyPace(bytesPerSecond), tell: tell}
	c.news.L, c.place.L = &c.mu, &c.mu
	for _, ring := range []*place{&c.waiting, &c.busy, &c.sending} {
		ring.before, ring.after = ring, ring
	}
	return c
}

// enter makes other the last of the ring that begins at p.
func (p *place) enter(other *place) {
	other.before, other.after = p.before, p
	other.before.after, p.before = other, other
}

// leave takes it out of its ring, if it is in one.
func (p *place) leave() {
	if p.after == nil {
		return
	}
	p.before.after, p.after.before = p.after, p.before
	p.before, p.after = nil, nil
}

// first returns the first connection in the ring of that client, or of any
// where it is nil; nil for none.
func (p *place) first(of *client) *connection {
	for next := p.after; next != p; next = next.after {
		if of == nil || next.conn.client == of {
			return next.conn
		}
	}
	return nil
}

// track is a http.Server's ConnState hook. It allocates nothing and looks
// nothing up: each request calls it twice.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	of := conn.(*connection) //nolint:forcetypeassert // the listener accepts nothing else
	p := &of.place
	c.mu.Lock()
	defer c.mu.Unlock()
	p.leave()
	p.silent = state == http.StateNew
	switch {
	case state == http.StateClosed, state == http.StateHijacked:
		c.drop(of)
	case p.ended: // and its server has yet to notice
	case state == http.StateActive:
		c.busy.enter(p)
		return
	default:
		of.body.reset()
		c.waiting.enter(p)
	}
	if len(c.line) > 0 {
		c.admitLine()
	}
}

// arrive admits a connection that was accepted, or has it wait in line.
func (c *connections) arrive(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.client = c.clientOf(conn.RemoteAddr())
	c.join(conn)
	c.admitLine()
}

// admit hands a connection to the server.
func (c *connections) admit(conn *connection) {
	c.open++
	c.count(conn.client)
	c.ready = append(c.ready, conn)
	c.news.Signal()
}

// drop counts a connection no more.
func (c *connections) drop(conn *connection) {
	if conn.place.ended {
		return
	}
	conn.place.ended = true
	c.open--
	c.discount(conn.client)
}

// end closes a connection for another to have its room.
func (c *connections) end(conn *connection) {
	conn.place.leave()
	c.drop(conn)
	conn.body.cut.Store(true)
	_ = conn.Close()
}

// closeSilent closes those that have never had a request, unless one has come
// by now and is only not read yet. A shutdown would wait seconds for them.
func (c *connections) closeSilent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := c.waiting.after; p != &c.waiting; p = p.after {
		if p.silent && !unread(p.conn) {
			_ = p.conn.Close()
		}
	}
}

// limit returns the listener, whose connections a http.Server with the hook
// then has. It is one of TCP.
func (c *connections) limit(listener net.Listener) net.Listener {
	l := &limitedListener{listener, c}
	go l.accept()
	return l
}

type limitedListener struct {
	net.Listener
	conns *connections
}

// accept accepts whatever comes, until the listener is closed: who has to wait
// for room must not keep those behind it from being seen. An error is the
// server's to handle before the next try.
func (l *limitedListener) accept() {
	c := l.conns
	for {
		accepted, err := l.Listener.Accept()
		if err == nil {
			c.arrive(newConnection(accepted, c))
			continue
		}
		c.mu.Lock()
		c.failed = err
		c.news.Broadcast()
		for c.failed != nil && !c.closing {
			c.news.Wait()
		}
		over := c.closing || errors.Is(err, net.ErrClosed)
		c.mu.Unlock()
		if over {
			return
		}
	}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	c := l.conns
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case len(c.ready) > 0:
			conn := c.ready[0]
			c.ready[0] = nil
			c.ready = c.ready[1:]
			return conn, nil
		case c.closing:
			return nil, net.ErrClosed
		case c.failed != nil:
			err := c.failed
			c.failed = nil
			c.news.Broadcast()
			return nil, err
		}
		c.news.Wait()
	}
}

func newConnection(accepted net.Conn, conns *connections) *connection {
	tcp := accepted.(*net.TCPConn) //nolint:forcetypeassert // the listener is one of TCP
	now := time.Now()
	conn := &connection{TCPConn: tcp, conns: conns}
	conn.place.conn = conn
	conn.reads.tell, conn.writes.tell = tcp.SetReadDeadline, tcp.SetWriteDeadline
	conn.reads.since, conn.writes.since = now, now
	return conn
}

// connectionKey is what a request's context has its connection under.
type connectionKey struct{}

// inContext is a http.Server's ConnContext hook.
func inContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	c := l.conns
	c.mu.Lock()
	c.closing = true
	c.admitLine()
	c.news.Broadcast()
	c.place.Broadcast()
	c.mu.Unlock()
	return l.Listener.Close()
}
