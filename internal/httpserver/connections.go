package httpserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connections limits how many connections are open. When one more arrives,
// admission closes another for it, or queues it, so that neither silent
// connections nor a client with many of them keep others out.
type connections struct {
	most int
	admission

	mu        sync.Mutex
	available sync.Cond // for Accept: ready, acceptErr or closing
	open      int
	closing   bool // the listener is closed: the queue is admitted at once
	ready     []*connection
	acceptErr error
	// waiting lists the connections without a request, busy those with one, and
	// sending those of them whose body is still being read, in the order in
	// which they got there. Each is the root of a ring.
	waiting, busy, sending element

	bodies   bodyRate
	observer Observer
}

// Observer counts what no handler sees. Its methods are called with a mutex
// held and must not block.
type Observer interface {
	// CountRefused counts a request that net/http itself answered.
	CountRefused(status int)
	// CountClosed counts a connection that was closed for another.
	CountClosed(reason CloseReason)
}

// element is a connection's element of a ring, embedded in the connection
// because each request moves it twice.
type element struct {
	prev, next *element // nil outside of any ring
	conn       *connection
	// silent is set until the first request.
	silent bool
	// ended is set when the connection no longer counts towards the limit.
	ended bool
}

// connection is an accepted connection. It embeds *net.TCPConn for the methods
// that net/http looks for, such as ReadFrom and CloseWrite.
type connection struct {
	*net.TCPConn
	conns         *connections
	client        *client
	elem          element
	reads, writes deadline
	body          bodyProgress
	// accepted is when the connection was accepted, heard when the first bytes were
	// read from it, in ns; 0 before that.
	accepted time.Time
	heard    atomic.Int64
}

// newConnections returns the limit for at most so many connections, of which
// trusted peers may have any number. bytesPerSecond is the least rate of bodies.
func newConnections(most int, trusted []netip.Prefix, bytesPerSecond int, observer Observer) *connections {
	c := &connections{most: most, admission: newAdmission(most, trusted), bodies: newBodyRate(bytesPerSecond), observer: observer}
	c.available.L, c.dequeued.L = &c.mu, &c.mu
	for _, ring := range []*element{&c.waiting, &c.busy, &c.sending} {
		ring.prev, ring.next = ring, ring
	}
	return c
}

// pushBack appends other to the ring with the root p.
func (p *element) pushBack(other *element) {
	other.prev, other.next = p.prev, p
	other.prev.next, p.prev = other, other
}

// remove takes p out of its ring, if it is in one.
func (p *element) remove() {
	if p.next == nil {
		return
	}
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}

// first returns the first connection of the client in the ring with the root p,
// or nil. A nil client stands for any.
func (p *element) first(of *client) *connection {
	for next := p.next; next != p; next = next.next {
		if of == nil || next.conn.client == of {
			return next.conn
		}
	}
	return nil
}

// track is the ConnState hook of an http.Server. Each request calls it twice, so
// it neither allocates nor searches.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	of := conn.(*connection) //nolint:forcetypeassert // the listener accepts nothing else
	p := &of.elem
	c.mu.Lock()
	defer c.mu.Unlock()
	p.remove()
	p.silent = state == http.StateNew
	switch {
	case state == http.StateClosed, state == http.StateHijacked:
		c.release(of)
	case p.ended: // and its server has yet to notice
	case state == http.StateActive:
		c.busy.pushBack(p)
		return
	default:
		of.body.reset()
		c.waiting.pushBack(p)
	}
	if len(c.queue) > 0 {
		c.admitQueued()
	}
}

// arrive admits or queues an accepted connection.
func (c *connections) arrive(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.client = c.clientOf(conn.RemoteAddr())
	c.enqueue(conn)
	c.admitQueued()
}

// admit hands a connection to Accept.
func (c *connections) admit(conn *connection) {
	c.open++
	c.add(conn.client)
	c.ready = append(c.ready, conn)
	c.available.Signal()
}

// release frees the connection's room.
func (c *connections) release(conn *connection) {
	if conn.elem.ended {
		return
	}
	conn.elem.ended = true
	c.open--
	c.remove(conn.client)
}

// evict closes a connection to make room for another.
func (c *connections) evict(conn *connection) {
	conn.elem.remove()
	c.release(conn)
	conn.body.cut.Store(true)
	_ = conn.Close()
}

// closeSilent closes the connections that have never had a request, except those
// with unread bytes, and those that were accepted, or began to be read from, less
// than grace ago. http.Server.Shutdown would wait five seconds for them.
func (c *connections) closeSilent(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := c.waiting.next; p != &c.waiting; p = p.next {
		if p.silent && time.Since(p.conn.lastSign()) >= grace && !unread(p.conn) {
			_ = p.conn.Close()
		}
	}
}

// lastSign returns when the connection was accepted or, if anything was read from
// it, when that began.
func (c *connection) lastSign() time.Time {
	if heard := c.heard.Load(); heard != 0 {
		return time.Unix(0, heard)
	}
	return c.accepted
}

// limit wraps a TCP listener for an http.Server that has track as its ConnState
// hook.
func (c *connections) limit(listener net.Listener) net.Listener {
	l := &limitedListener{listener, c}
	go l.accept()
	return l
}

type limitedListener struct {
	net.Listener
	conns *connections
}

// accept accepts connections until the listener is closed, whether or not there
// is room: a queued connection must not hide those behind it. After an error it
// waits for the server to call Accept again.
func (l *limitedListener) accept() {
	c := l.conns
	for {
		accepted, err := l.Listener.Accept()
		if err == nil {
			c.arrive(newConnection(accepted, c))
			continue
		}
		c.mu.Lock()
		c.acceptErr = err
		c.available.Broadcast()
		for c.acceptErr != nil && !c.closing {
			c.available.Wait()
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
		case c.acceptErr != nil:
			err := c.acceptErr
			c.acceptErr = nil
			c.available.Broadcast()
			return nil, err
		}
		c.available.Wait()
	}
}

func newConnection(accepted net.Conn, conns *connections) *connection {
	tcp := accepted.(*net.TCPConn) //nolint:forcetypeassert // the listener is one of TCP
	now := time.Now()
	conn := &connection{TCPConn: tcp, conns: conns, accepted: now}
	conn.elem.conn = conn
	conn.reads.arm, conn.writes.arm = tcp.SetReadDeadline, tcp.SetWriteDeadline
	conn.reads.since, conn.writes.since = now, now
	return conn
}

// connectionKey is the context key of a request's *connection.
type connectionKey struct{}

// inContext is the ConnContext hook of an http.Server.
func inContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	c := l.conns
	c.mu.Lock()
	c.closing = true
	c.admitQueued()
	c.available.Broadcast()
	c.dequeued.Broadcast()
	c.mu.Unlock()
	return l.Listener.Close()
}
