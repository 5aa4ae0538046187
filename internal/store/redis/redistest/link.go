package redistest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkSize is how much is read at once, and chunksHeld how many chunks
	// wait in one direction of a connection before its sender has to.
	chunkSize  = 32 << 10
	chunksHeld = 256
	// pieces is how many times a second a limited bandwidth is used.
	pieces = 50
)

// way is what a Proxy does to the bytes of one direction.
type way struct {
	latency   atomic.Int64 // a time.Duration
	bandwidth atomic.Int64 // bytes per second; 0 has no limit

	mu   sync.Mutex
	open chan struct{} // closed while bytes pass
}

func newWay() *way {
	w := &way{open: make(chan struct{})}
	close(w.open)
	return w
}

func (w *way) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.open:
		w.open = make(chan struct{})
	default: // it is stalled
	}
}

func (w *way) flow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.open:
	default:
		close(w.open)
	}
}

// gate returns what is closed once bytes pass.
func (w *way) gate() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// chunk is what one read gave.
type chunk struct {
	data []byte
	due  <-chan time.Time // when its latency is over; nil without any
	end  error            // why nothing follows; nil if something may
}

// link is a client's connection and the one to the server that belongs to it.
type link struct {
	proxy *Proxy
	ctx   context.Context // ends when the link is cut
	cut   context.CancelFunc
	ended chan struct{}
	conns [2]*net.TCPConn // by Direction, where the bytes come from
	asked atomic.Bool     // whether the client was the last to speak
}

func newLink(p *Proxy, client *net.TCPConn) *link {
	l := &link{proxy: p, ended: make(chan struct{})}
	l.ctx, l.cut = context.WithCancel(p.ctx)
	l.conns[Up] = client
	return l
}

// run connects to the server, and passes bytes until both sides have ended or
// the link is cut.
func (l *link) run(target netip.AddrPort) {
	defer close(l.ended)
	defer l.cut()
	server, err := new(net.Dialer).DialTCP(l.ctx, "tcp4", netip.AddrPort{}, target)
	if err != nil {
		reset(l.conns[Up])
		return
	}
	l.conns[Down] = server

	atEnd := context.AfterFunc(l.ctx, func() { reset(l.conns[:]...) })
	var work sync.WaitGroup
	for _, d := range []Direction{Up, Down} {
		queue := make(chan chunk, chunksHeld)
		work.Go(func() { l.read(d, queue) })
		work.Go(func() { l.write(d, queue) })
	}
	work.Wait()
	if !atEnd() {
		reset(l.conns[:]...) // perhaps for the second time, but by now
		return
	}
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// reset closes connections so that the other side sees an error.
func reset(conns ...*net.TCPConn) {
	for _, conn := range conns {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

// read queues what comes from one side.
func (l *link) read(d Direction, queue chan<- chunk) {
	buf := make([]byte, chunkSize)
	for {
		n, err := l.conns[d].Read(buf)
		if n > 0 {
			l.count(d, n)
		}
		c := chunk{data: bytes.Clone(buf[:n]), end: err}
		if latency := l.proxy.ways[d].latency.Load(); latency > 0 {
			c.due = time.NewTimer(time.Duration(latency)).C
		}
		select {
		case queue <- c:
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// write passes on what was queued, as the proxy's settings have it. A decent
// end is passed on as one, anything else cuts the link.
func (l *link) write(d Direction, queue <-chan chunk) {
	to := l.conns[1-d]
	for {
		select {
		case c := <-queue:
			if err := l.pause(d, to, &c); err != nil {
				l.cut()
				return
			}
			if err := l.send(to, l.proxy.ways[d], c); err != nil {
				l.cut()
				return
			}
			if errors.Is(c.end, io.EOF) {
				_ = to.CloseWrite() // fails if that side has gone, too
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// pause does what Proxy.Before asked for, and leaves in c what is still to be
// written.
func (l *link) pause(d Direction, to *net.TCPConn, c *chunk) error {
	p := l.proxy.pause.Load()
	if d != Up || p == nil {
		return nil
	}
	at := bytes.Index(c.data, []byte(p.text))
	if at < 0 || !l.proxy.pause.CompareAndSwap(p, nil) {
		return nil
	}
	if _, err := to.Write(c.data[:at]); err != nil {
		return err
	}
	c.data = c.data[at:]
	p.do()
	return nil
}

// send writes a chunk when it is due and the way is open, piece by piece if the
// bandwidth is limited. It returns why the link cannot go on.
func (l *link) send(to *net.TCPConn, w *way, c chunk) error {
	if c.due != nil {
		if err := wait(l.ctx, c.due); err != nil {
			return err
		}
	}
	for {
		if err := wait(l.ctx, w.gate()); err != nil {
			return err
		}
		if len(c.data) == 0 {
			break
		}
		piece, rate := c.data, w.bandwidth.Load()
		if rate > 0 {
			piece = c.data[:min(int64(len(c.data)), max(1, rate/pieces))]
		}
		if _, err := to.Write(piece); err != nil {
			return err
		}
		c.data = c.data[len(piece):]
		if rate > 0 {
			pause := time.Duration(len(piece)) * time.Second / time.Duration(rate)
			if err := wait(l.ctx, time.After(pause)); err != nil {
				return err
			}
		}
	}
	if c.end != nil && !errors.Is(c.end, io.EOF) {
		return c.end
	}
	return nil
}

// wait waits for an event, or returns why nobody does any more.
func wait[T any](ctx context.Context, event <-chan T) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count notes what was read.
func (l *link) count(d Direction, n int) {
	counts := &l.proxy.counts
	counts.segments[d].Add(1)
	counts.bytes[d].Add(int64(n))
	if asked := l.asked.Swap(d == Up); d == Up && !asked {
		counts.roundTrips.Add(1)
	}
}
