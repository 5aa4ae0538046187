package httpserver

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// deadline is the read or write deadline of a connection. net/http sets the two
// eight times a request, nearly always to a later time than before. Each change
// of a runtime timer costs time and may wake another thread, so deadline arms
// the timer only for a time that is earlier than the armed one. When the timer
// ends a wait too early, it is armed again, and the wait goes on.
type deadline struct {
	arm   func(time.Time) error // of the runtime
	since time.Time             // of the connection

	mu      sync.Mutex
	wanted  time.Time // as set; zero for none
	armed   time.Time // what the runtime has
	expired bool      // armed has passed
	exact   bool      // a waiter cannot resume after too early an end
	waiters int       // reads or writes in progress
}

// set sets the deadline to t.
func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if d.waiters > 0 && (d.exact || earlier(t, d.armed)) {
		return d.update()
	}
	return nil
}

// update arms the timer for the deadline.
func (d *deadline) update() error {
	d.armed, d.expired = d.wanted, false
	return d.arm(d.wanted)
}

// earlier reports whether deadline a is before b. Zero is none.
func earlier(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// begin begins a wait, to be ended by resume. It reports whether there is time
// left, as far as that is known without a clock: net/http aborts waits by a
// deadline before the connection's start.
func (d *deadline) begin(exact bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if earlier(d.wanted, d.since) {
		return false
	}
	if d.expired || earlier(d.wanted, d.armed) || exact && !d.wanted.Equal(d.armed) {
		_ = d.update() // fails where the connection is closed, as does what comes next
	}
	d.exact = d.exact || exact
	d.waiters++
	return true
}

// resume reports whether a wait that ended with err ended too early and is to go
// on. Otherwise it ends the wait.
func (d *deadline) resume(err error) bool {
	expired := err != nil && errors.Is(err, os.ErrDeadlineExceeded)
	d.mu.Lock()
	defer d.mu.Unlock()
	if expired && !d.wanted.Equal(d.armed) {
		_ = d.update()
		return true
	}
	d.expired = d.expired || expired
	if d.waiters--; d.waiters == 0 {
		d.exact = false
	}
	return false
}

// SetReadDeadline implements net.Conn.
// While a body is read, the handler is the one to call it.
func (c *connection) SetReadDeadline(t time.Time) error {
	if c.body.awaited.Load() && !t.IsZero() {
		c.body.ownDeadline.Store(true)
	}
	return c.reads.set(t)
}

// SetWriteDeadline implements net.Conn.
func (c *connection) SetWriteDeadline(t time.Time) error { return c.writes.set(t) }

// SetDeadline implements net.Conn.
func (c *connection) SetDeadline(t time.Time) error {
	return errors.Join(c.reads.set(t), c.writes.set(t))
}

// Read implements net.Conn. A read of a single byte is net/http's check, while a
// handler runs, whether the client hangs up.
func (c *connection) Read(b []byte) (int, error) {
	if len(b) > 1 && c.body.awaited.Load() {
		return c.readBody(b)
	}
	return c.read(b)
}

func (c *connection) read(b []byte) (int, error) {
	if !c.reads.begin(false) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.TCPConn.Read(b)
		if n > 0 && c.heard.Load() == 0 {
			c.heard.Store(time.Now().UnixNano())
		}
		if !c.reads.resume(err) {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *connection) Write(b []byte) (written int, err error) {
	if status := builtinError(b); status != 0 {
		c.conns.observer.CountRefused(status)
	}
	if !c.writes.begin(false) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.TCPConn.Write(b[written:])
		written += n
		if !c.writes.resume(err) {
			return written, err
		}
	}
}

// ReadFrom implements io.ReaderFrom. After an error it is unknown how much of
// what was read is written, so the wait cannot resume.
func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	if !c.writes.begin(true) {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.TCPConn.ReadFrom(r)
	_ = c.writes.resume(err) // false: the deadline is the exact one
	return n, err
}
