package httpserver

import (
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	// stallTimeout is how long a body may bring nothing before its connection is
	// the first to be closed for another.
	stallTimeout = time.Second
	// rateGrace is how long a body may be slower than the least rate.
	rateGrace = 5 * time.Second
	// rateInterval is how often rates are checked.
	rateInterval = 500 * time.Millisecond
)

// bodyRate is the least rate of bodies over HTTP/1.1, where a body has its
// connection to itself. Only the time that reads wait counts: what the handler
// does between them is not the client's time.
type bodyRate struct {
	least   int // bytes a second; 0 for any
	epoch   time.Time
	watched bool // a check is scheduled; guarded by connections.mu
}

func newBodyRate(least int) bodyRate { return bodyRate{least: least, epoch: time.Now()} }

// now returns the time since epoch, as bodyProgress stores times.
func (b *bodyRate) now() time.Duration { return time.Since(b.epoch) }

// bodyProgress is the progress of the body of the current request.
type bodyProgress struct {
	// awaited is set if the request has a body: reads may be of it.
	awaited atomic.Bool
	// ownDeadline is set if the handler sets read deadlines itself.
	ownDeadline atomic.Bool
	// cut is set when reads of the body are to fail.
	cut atomic.Bool

	begun  bool          // there was a read; only the reader uses it
	began  time.Duration // guarded by connections.mu
	since  atomic.Int64  // when the read in progress began; 0 for none
	waited atomic.Int64  // how long earlier reads took
	got    atomic.Int64  // bytes
}

// reset prepares for the next request.
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

// time returns how long reads have waited for the client: the read in progress,
// and all of them.
func (p *bodyProgress) time(now time.Duration) (last, all time.Duration) {
	if since := p.since.Load(); since > 0 {
		last = now - time.Duration(since)
	}
	return last, last + time.Duration(p.waited.Load())
}

// isSlow reports whether a body that took so long is below the least rate.
func (b *bodyRate) isSlow(p *bodyProgress, took time.Duration) bool {
	return float64(p.got.Load()) < took.Seconds()*float64(b.least)
}

// hasStalled reports whether a body has brought nothing for stallTimeout, or is
// below the least rate after it.
func (b *bodyRate) hasStalled(p *bodyProgress, now time.Duration) bool {
	last, all := p.time(now)
	return last >= stallTimeout || last > 0 && all >= stallTimeout && b.isSlow(p, all)
}

// watchBodies makes connections measure the bodies of requests.
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

// readBody is Read while a body may be read. Small bodies mostly arrive together
// with their headers, and are not seen here.
func (c *connection) readBody(b []byte) (int, error) {
	p, rate := &c.body, &c.conns.bodies
	if p.cut.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	began := rate.now()
	if !p.begun {
		p.begun = true
		c.conns.beginBody(c, began)
	}
	p.since.Store(int64(max(1, began)))
	n, err := c.read(b)
	p.since.Store(0)
	p.waited.Add(int64(rate.now() - began))
	p.got.Add(int64(n))
	if err != nil && p.cut.Load() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// beginBody moves a connection to the sending ring.
func (c *connections) beginBody(conn *connection, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.elem.next == nil { // it was closed
		return
	}
	conn.body.began = now
	conn.elem.remove()
	c.sending.pushBack(&conn.elem)
	if c.bodies.least > 0 && !c.bodies.watched {
		c.bodies.watched = true
		time.AfterFunc(rateInterval, c.cutSlow)
	}
}

// cutSlow makes reads of bodies below the least rate fail, so that their requests
// are answered. It reschedules itself while any body is being read.
func (c *connections) cutSlow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.bodies.now()
	for p := c.sending.next; p != &c.sending; p = p.next {
		body := &p.conn.body
		last, all := body.time(now)
		if last > 0 && all >= rateGrace && c.bodies.isSlow(body, all) && !body.ownDeadline.Load() {
			body.cut.Store(true)
			_ = p.conn.reads.set(c.bodies.epoch)
		}
	}
	if c.bodies.watched = c.sending.next != &c.sending; c.bodies.watched {
		time.AfterFunc(rateInterval, c.cutSlow)
	}
}
