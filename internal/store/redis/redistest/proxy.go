package redistest

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Direction is a way that bytes take through a Proxy.
type Direction int

// The directions. Up is from the client to the server.
const (
	Up Direction = iota
	Down
)

// Proxy passes TCP connections on to a server, as badly as it is told to. What
// it is told holds for connections that there are as well as for new ones.
type Proxy struct {
	tb     testing.TB
	port   int
	ways   [2]*way // by Direction
	counts counters
	ctx    context.Context // ends with the proxy
	work   sync.WaitGroup
	target atomic.Pointer[netip.AddrPort]
	pause  atomic.Pointer[pause] // nil for none

	mu       sync.Mutex
	listener *net.TCPListener // nil while connections are refused
	links    map[*link]bool
}

// Counts is what has come to a Proxy from both sides, whether passed on or not.
type Counts struct {
	Connections int64
	// RoundTrips is how often a client spoke after it had heard from the server
	// (or for the first time), summed over connections. What is sent while an
	// answer is awaited belongs to the same round trip.
	RoundTrips int64
	// Segments, by Direction, are reads from the sockets: what was written at
	// once, or shortly after each other.
	Segments [2]int64
	Bytes    [2]int64
}

type counters struct {
	connections, roundTrips atomic.Int64
	segments, bytes         [2]atomic.Int64
}

// StartProxy starts a proxy in front of the server at target, an IPv4 address
// with a port. It is faultless at first.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	server, err := netip.ParseAddrPort(target)
	if err != nil {
		tb.Fatalf("the target of a proxy: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	p := &Proxy{
		tb:    tb,
		ctx:   ctx,
		port:  reservePort(tb),
		ways:  [2]*way{newWay(), newWay()},
		links: map[*link]bool{},
	}
	p.target.Store(&server)
	tb.Cleanup(func() {
		p.Refuse()
		cancel()
		p.work.Wait()
	})
	p.Accept()
	return p
}

// Redirect makes new connections lead to another server, as those to a name do
// that is given another address. Connections that there are stay.
func (p *Proxy) Redirect(target string) {
	p.tb.Helper()
	server, err := netip.ParseAddrPort(target)
	if err != nil {
		p.tb.Fatalf("the target of a proxy: %v", err)
	}
	p.target.Store(&server)
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// SetLatency delays the bytes of one direction; 0 does not.
func (p *Proxy) SetLatency(d Direction, latency time.Duration) {
	p.ways[d].latency.Store(int64(latency))
}

// SetBandwidth limits the bytes of one direction per second and connection; 0
// does not.
func (p *Proxy) SetBandwidth(d Direction, bytesPerSecond int64) {
	p.ways[d].bandwidth.Store(bytesPerSecond)
}

// Stall silently stops passing on the bytes of one direction. Connections stay
// open, and can be made: even the end of one is not passed on.
func (p *Proxy) Stall(d Direction) { p.ways[d].stall() }

// Before has do called when a client's bytes contain text for the next time, with
// what comes before that passed on, and the rest not yet. It tests what happens
// between two commands that are sent at once.
func (p *Proxy) Before(text string, do func()) { p.pause.Store(&pause{text, do}) }

type pause struct {
	text string
	do   func()
}

// Flow ends Stall: what was held back is passed on, as after a network's
// outage.
func (p *Proxy) Flow(d Direction) { p.ways[d].flow() }

// Cut resets all connections, and returns when that is done. New ones can be
// made; one that has not carried a byte yet may count as new.
func (p *Proxy) Cut() {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.links))
	p.mu.Unlock()
	for _, l := range links {
		l.cut()
		<-l.ended
	}
}

// Refuse refuses new connections until Accept. Existing ones stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Accept ends Refuse.
func (p *Proxy) Accept() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.port})
	if err != nil {
		p.tb.Fatalf("listening for a proxy: %v", err)
	}
	p.listener = listener
	p.work.Go(func() { p.serve(listener) })
}

// Counts returns the sums so far.
func (p *Proxy) Counts() Counts {
	c := Counts{Connections: p.counts.connections.Load(), RoundTrips: p.counts.roundTrips.Load()}
	for d := range c.Segments {
		c.Segments[d] = p.counts.segments[d].Load()
		c.Bytes[d] = p.counts.bytes[d].Load()
	}
	return c
}

// Sub returns what has come since an earlier count.
func (c Counts) Sub(earlier Counts) Counts {
	c.Connections -= earlier.Connections
	c.RoundTrips -= earlier.RoundTrips
	for d := range c.Segments {
		c.Segments[d] -= earlier.Segments[d]
		c.Bytes[d] -= earlier.Bytes[d]
	}
	return c
}

// serve takes connections until the listener is closed.
func (p *Proxy) serve(listener *net.TCPListener) {
	for {
		client, err := listener.AcceptTCP()
		if err != nil {
			return
		}
		p.work.Go(func() { p.connect(client) })
	}
}

// connect connects a client to the server, and returns when both have ended. A
// client whose server cannot be reached is reset.
func (p *Proxy) connect(client *net.TCPConn) {
	p.counts.connections.Add(1)
	l := newLink(p, client)
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()

	l.run(*p.target.Load())

	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}
