package httpserver

import (
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	// stallTime is how long nothing of a body may come before its connection is
	// the first to be closed for another.
	stallTime = time.Second
	// paceGrace is how long a body may come more slowly than bodies must.
	paceGrace = 5 * time.Second
	// paceLook is how often that is looked at.
	paceLook = 500 * time.Millisecond
)

// bodyPace is how fast bodies must come over HTTP/1.1, where each has its
// connection for itself. What the service does between two reads is not the
// client's time.
type bodyPace struct {
	least   int // bytes a second; 0 for any
	epoch   time.Time
	watched bool // under the lock of the connections
}

func newBodyPace(least int) bodyPace { return bodyPace{least: least, epoch: time.Now()} }

// now is the time as bodyProgress has it.
func (b *bodyPace) now() time.Duration { return time.Since(b.epoch) }

// bodyProgress is how the body of the present request comes.
type bodyProgress struct {
	// awaited: the request has a body, and what is read may be of it.
	awaited atomic.Bool
	// ownDeadline: the handler gives each read its time.
	ownDeadline atomic.Bool
	// cut: it may go on no more.
	cut atomic.Bool

	begun  bool          // there was a read; of the reader alone
	began  time.Duration // under the lock of the connections
	since  atomic.Int64  // when the read that goes on began; 0 for none
	waited atomic.Int64  // how long those before it took
	got    atomic.Int64  // bytes
}

// reset is for the next request.
func (p *bodyProgress) reset() {
	if p.awaited.Load() {
		p.awaited.Store(false)
		p.ownDeadline.Store(false)
		p.begun = false
		p.since.Store(0)
		p.waited.Store(0)
		p.got.Store(0)
	}
}

// time returns how long the client has been waited for: in the read that goes
// on, and in all.
func (p *bodyProgress) time(now time.Duration) (last, all time.Duration) {
	if since := p.since.Load(); since > 0 {
		last = now - time.Duration(since)
	}
	return last, last + time.Duration(p.waited.Load())
}

// isSlow reports whether a body that has taken so long comes too slowly.
func (b *bodyPace) isSlow(p *bodyProgress, took time.Duration) bool {
	return float64(p.got.Load()) < took.Seconds()*float64(b.least)
}

// hasStalled reports whether nothing of a body has come for a while, or hardly
// anything since it began.
func (b *bodyPace) hasStalled(p *bodyProgress, now time.Duration) bool {
	last, all := p.time(now)
	return last >= stallTime || last > 0 && all >= stallTime && b.isSlow(p, all)
}

// watchBodies watches how the bodies of requests come, as long as they do.
func (c *connections) watchBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 && r.ProtoMajor == 1 {
			if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
				conn.body.awaited.Store(true)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// readBody is Read where it may be a body's. Small ones mostly come with the
// headers of their requests, and never come here.
func (c *connection) readBody(b []byte) (int, error) {
	p, pace := &c.body, &c.conns.bodies
	if p.cut.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	began := pace.now()
	if !p.begun {
		p.begun = true
		c.conns.beginBody(c, began)
	}
	p.since.Store(int64(max(1, began)))
	n, err := c.read(b)
	p.since.Store(0)
	p.waited.Add(int64(pace.now() - began))
	p.got.Add(int64(n))
	if err != nil && p.cut.Load() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// beginBody makes a connection one of those that send.
func (c *connections) beginBody(conn *connection, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.place.after == nil { // it was closed
		return
	}
	conn.body.began = now
	conn.place.leave()
	c.sending.enter(&conn.place)
	if c.bodies.least > 0 && !c.bodies.watched {
		c.bodies.watched = true
		time.AfterFunc(paceLook, c.cutSlow)
	}
}

// cutSlow ends the bodies that come too slowly, again and again while any come.
// Their requests are answered.
func (c *connections) cutSlow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.bodies.now()
	for p := c.sending.after; p != &c.sending; p = p.after {
		body := &p.conn.body
		last, all := body.time(now)
		if last > 0 && all >= paceGrace && c.bodies.isSlow(body, all) && !body.ownDeadline.Load() {
			body.cut.Store(true)
			_ = p.conn.reads.set(c.bodies.epoch)
		}
	}
	if c.bodies.watched = c.sending.after != &c.sending; c.bodies.watched {
		time.AfterFunc(paceLook, c.cutSlow)
	}
}
