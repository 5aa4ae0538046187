package main

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connections are those that are open: at most so many. When one more comes,
// the one that has waited longest for a request is closed, so that silent ones
// keep nobody out. Where all of them have one, it waits.
type connections struct {
	most int

	mu      sync.Mutex
	room    sync.Cond
	open    int
	closing bool // the listener is closed: nobody waits
	// waiting are those without a whole request, in the order in which they
	// came to wait: a ring that begins and ends here.
	waiting place
}

// place is that of a connection among those that wait.
type place struct {
	before, after *place // nil while it does not wait
	conn          *connection
	// silent: it waits for its first request.
	silent bool
}

// connection has its own place with it, because each request moves it twice.
// As a *net.TCPConn it has all that net/http looks for in one.
type connection struct {
	*net.TCPConn
	place         place
	reads, writes deadline
}

func newConnections(most int) *connections {
	c := &connections{most: most}
	c.room.L = &c.mu
	c.waiting.before, c.waiting.after = &c.waiting, &c.waiting
	return c
}

// enter makes it the last of those that wait.
func (c *connections) enter(p *place) {
	p.before, p.after = c.waiting.before, &c.waiting
	p.before.after, p.after.before = p, p
}

// leave ends the waiting, if it waits.
func (p *place) leave() {
	if p.after == nil {
		return
	}
	p.before.after, p.after.before = p.after, p.before
	p.before, p.after = nil, nil
}

// track is a http.Server's ConnState hook. It allocates nothing and looks
// nothing up: each request calls it twice.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	p := &conn.(*connection).place //nolint:forcetypeassert // the listener accepts nothing else
	c.mu.Lock()
	defer c.mu.Unlock()
	p.leave()
	p.silent = state == http.StateNew
	switch state {
	case http.StateNew, http.StateIdle:
		c.enter(p)
	case http.StateClosed, http.StateHijacked:
		c.open--
	case http.StateActive:
		return
	}
	c.room.Signal()
}

// makeRoom returns when the connection that was accepted may be served.
func (c *connections) makeRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most && !c.closing {
		if first := c.waiting.after; first != &c.waiting {
			first.leave()
			_ = first.conn.Close()
			break // it is as good as gone
		}
		c.room.Wait()
	}
	c.open++
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
	return &limitedListener{listener, c}
}

type limitedListener struct {
	net.Listener
	conns *connections
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.conns.makeRoom()
	return newConnection(accepted), nil
}

func newConnection(accepted net.Conn) *connection {
	tcp := accepted.(*net.TCPConn) //nolint:forcetypeassert // the listener is one of TCP
	now := time.Now()
	conn := &connection{TCPConn: tcp}
	conn.place.conn = conn
	conn.reads.tell, conn.writes.tell = tcp.SetReadDeadline, tcp.SetWriteDeadline
	conn.reads.since, conn.writes.since = now, now
	return conn
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.conns.mu.Lock()
	l.conns.closing = true
	l.conns.room.Broadcast()
	l.conns.mu.Unlock()
	return l.Listener.Close()
}
