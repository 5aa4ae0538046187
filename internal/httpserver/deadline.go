package httpserver

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// deadline is when reading, or writing, on a connection ends. net/http moves
// those of a connection eight times with each request, nearly always to later
// than they were. The runtime, whose timers cost time and the sleep of other
// threads, is told only of what is to come earlier than it expects; when it ends
// a wait too early for that, it is told then, and the wait goes on.
type deadline struct {
	tell  func(time.Time) error // the runtime
	since time.Time             // of the connection

	mu     sync.Mutex
	wanted time.Time // zero for never
	told   time.Time // what the runtime knows
	passed bool      // told is over
	exact  bool      // whoever waits cannot go on after too early an end
	waits  int       // how many wait
}

// set makes it t.
func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if d.waits > 0 && (d.exact || earlier(t, d.told)) {
		return d.update()
	}
	return nil
}

// update tells the runtime.
func (d *deadline) update() error {
	d.told, d.passed = d.wanted, false
	return d.tell(d.wanted)
}

// earlier compares deadlines.
func earlier(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// enter begins a wait, which again ends. It reports whether there is any time
// left, as far as that can be told without a clock: net/http ends waits by a
// deadline that lies before the connection began.
func (d *deadline) enter(exact bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if earlier(d.wanted, d.since) {
		return false
	}
	if d.passed || earlier(d.wanted, d.told) || exact && !d.wanted.Equal(d.told) {
		_ = d.update() // fails where the connection is closed, as does what comes next
	}
	d.exact = d.exact || exact
	d.waits++
	return true
}

// again reports whether a wait that has ended with err has ended too early. If
// not, it is over.
func (d *deadline) again(err error) bool {
	expired := err != nil && errors.Is(err, os.ErrDeadlineExceeded)
	d.mu.Lock()
	defer d.mu.Unlock()
	if expired && !d.wanted.Equal(d.told) {
		_ = d.update()
		return true
	}
	d.passed = d.passed || expired
	if d.waits--; d.waits == 0 {
		d.exact = false
	}
	return false
}

// SetReadDeadline implements net.Conn.
// Once a request is read, it is its handler that calls it.
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

// Read implements net.Conn. net/http reads a single byte to learn whether a
// client hangs up while its request is handled.
func (c *connection) Read(b []byte) (int, error) {
	if len(b) > 1 && c.body.awaited.Load() {
		return c.readBody(b)
	}
	return c.read(b)
}

func (c *connection) read(b []byte) (int, error) {
	if !c.reads.enter(false) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.TCPConn.Read(b)
		if !c.reads.again(err) {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *connection) Write(b []byte) (written int, err error) {
	if status := refusal(b); status != 0 {
		c.conns.tell.CountRefused(status)
	}
	if !c.writes.enter(false) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.TCPConn.Write(b[written:])
		written += n
		if !c.writes.again(err) {
			return written, err
		}
	}
}

// ReadFrom implements io.ReaderFrom. Of what it has read nobody knows how much
// is written, so it cannot go on after an end.
func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	if !c.writes.enter(true) {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.TCPConn.ReadFrom(r)
	_ = c.writes.again(err) // false: the deadline is the exact one
	return n, err
}
