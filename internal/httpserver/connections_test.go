package httpserver

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what should happen at once.
const patience = 2 * time.Minute

// What each request calls twice allocates nothing.
func TestConnections_trackAllocatesNothing(t *testing.T) {
	c := newConnections(2, nil, 0, new(tally))
	conn, _ := connected(t, c)
	c.track(conn, http.StateNew)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.track(conn, http.StateActive)
		c.track(conn, http.StateIdle)
	}))
}

// net/http asks a connection for more than a net.Conn has.
func TestConnections_areOfTCP(t *testing.T) {
	conn, _ := connected(t, newConnections(1, nil, 0, new(tally)))
	assert.Implements(t, (*io.ReaderFrom)(nil), conn, "files are sent by the kernel")
	assert.Implements(t, (*interface{ CloseWrite() error })(nil), conn, "the last answer is not cut off")
	assert.Implements(t, (*syscall.Conn)(nil), conn, "a shutdown looks for what is unread")
}

// The time that counts is that since the last request, and one with a request
// does not wait.
func TestConnections_order(t *testing.T) {
	const most = 3
	c := newConnections(most, nil, 0, new(tally))
	var conns []*connection
	var others []net.Conn
	for range most {
		ours, theirs := connected(t, c)
		c.arrive(ours)
		c.track(ours, http.StateNew)
		conns, others = append(conns, ours), append(others, theirs)
	}
	c.track(conns[0], http.StateActive)
	c.track(conns[0], http.StateIdle) // behind 1 and 2
	c.track(conns[1], http.StateActive)
	for _, next := range []int{2, 0} {
		arriveOneMore(t, c)
		_, err := others[next].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "connection %d", next)
		c.track(conns[next], http.StateClosed)
	}
	require.NoError(t, others[1].SetReadDeadline(time.Now()))
	_, err := others[1].Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it has a request")
}

// One that was closed for another is not closed for the next as well, though
// the server has not noticed yet.
func TestConnections_twoMoreCloseTwo(t *testing.T) {
	const most = 2
	c := newConnections(most, nil, 0, new(tally))
	var others []net.Conn
	for range most {
		ours, theirs := connected(t, c)
		c.arrive(ours)
		c.track(ours, http.StateNew)
		others = append(others, theirs)
	}
	for i, other := range others {
		arriveOneMore(t, c)
		_, err := other.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "connection %d", i)
	}
}

// Silent are those that have never had a request, not those that wait for the
// next one.
func TestConnections_closeSilent(t *testing.T) {
	c := newConnections(3, nil, 0, new(tally))
	silent, fromSilent := connected(t, c)
	rests, fromRests := connected(t, c)
	busy, fromBusy := connected(t, c)
	for _, conn := range []*connection{rests, silent, busy} {
		c.arrive(conn)
		c.track(conn, http.StateNew)
	}
	c.track(rests, http.StateActive)
	c.track(rests, http.StateIdle)
	c.track(busy, http.StateActive)

	c.closeSilent(time.Hour) // it has only now been accepted
	_, err := fromSilent.Write([]byte("GET"))
	require.NoError(t, err)
	_, err = silent.Read(make([]byte, 3))
	require.NoError(t, err)
	silent.accepted = silent.accepted.Add(-2 * time.Hour)
	c.closeSilent(time.Hour) // it has only now begun to send
	_, err = silent.Write([]byte("x"))
	require.NoError(t, err)
	_, err = fromSilent.Read(make([]byte, 1))
	require.NoError(t, err)

	c.closeSilent(0)
	_, err = fromSilent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	for name, ends := range map[string][2]net.Conn{"it rests": {rests, fromRests}, "it has a request": {busy, fromBusy}} {
		_, err := ends[0].Write([]byte("x"))
		require.NoError(t, err, name)
		_, err = ends[1].Read(make([]byte, 1))
		require.NoError(t, err, name)
	}
}

// tally are counters for tests.
type tally struct {
	mu      sync.Mutex
	refused []int
	closed  []CloseReason
}

func (c *tally) CountRefused(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, status)
}

func (c *tally) CountClosed(reason CloseReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = append(c.closed, reason)
}

// connected returns a connection as a http.Server has it, and its other end.
func connected(t *testing.T, c *connections) (ours *connection, theirs net.Conn) {
	t.Helper()
	return connectedFrom(t, c, "127.0.0.1")
}

// connectedFrom is connected by a client at that address.
func connectedFrom(t *testing.T, c *connections, client string) (ours *connection, theirs net.Conn) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	theirs, err = from(client).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	accepted, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = accepted.Close(), theirs.Close() })
	require.NoError(t, theirs.SetReadDeadline(time.Now().Add(patience)))
	return newConnection(accepted, c), theirs
}

// from dials as a client at that address of the loopback network.
func from(client string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
}

func arriveOneMore(t *testing.T, c *connections) {
	t.Helper()
	ours, _ := connected(t, c)
	c.arrive(ours)
}
