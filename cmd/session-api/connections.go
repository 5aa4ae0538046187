package main

import (
	"container/list"
	"net"
	"net/http"
	"sync"
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
	// came to wait; silent those of them that have never had one.
	waiting list.List
	places  map[net.Conn]*list.Element
	silent  map[net.Conn]struct{}
}

func newConnections(most int) *connections {
	c := &connections{most: most, places: make(map[net.Conn]*list.Element), silent: make(map[net.Conn]struct{})}
	c.room.L = &c.mu
	return c
}

// track is a http.Server's ConnState hook.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.silent, conn)
	if place, ok := c.places[conn]; ok {
		c.waiting.Remove(place)
		delete(c.places, conn)
	}
	switch state {
	case http.StateNew:
		c.silent[conn] = struct{}{}
		c.places[conn] = c.waiting.PushBack(conn)
	case http.StateIdle:
		c.places[conn] = c.waiting.PushBack(conn)
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
		if first := c.waiting.Front(); first != nil {
			conn, _ := c.waiting.Remove(first).(net.Conn) // it holds nothing else
			delete(c.places, conn)
			_ = conn.Close()
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
	for conn := range c.silent {
		if !unread(conn) {
			_ = conn.Close()
		}
	}
}

// limit returns the listener, whose connections a http.Server with the hook
// then has.
func (c *connections) limit(listener net.Listener) net.Listener {
	return &limitedListener{listener, c}
}

type limitedListener struct {
	net.Listener
	conns *connections
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.conns.makeRoom()
	}
	return conn, err
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.conns.mu.Lock()
	l.conns.closing = true
	l.conns.room.Broadcast()
	l.conns.mu.Unlock()
	return l.Listener.Close()
}
