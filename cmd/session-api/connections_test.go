package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
)

// healthy asks for the service's health over a connection that stays open.
func healthy(t *testing.T, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// Where there are as many connections as there may be, one more closes that
// which has waited longest for a request.
func TestConnections_oneMoreClosesWhichWaitsLongest(t *testing.T) {
	s := start(t, environment(t, "MAX_CONNECTIONS", "3"))
	busy, answers := inFlight(t, s.addr)
	_, silent := dial(t, s.addr)
	rests, resting := dial(t, s.addr)
	healthy(t, rests, resting) // accepted after the silent one

	fourth, fromFourth := dial(t, s.addr)
	healthy(t, fourth, fromFourth)
	_, err := silent.ReadByte()
	require.ErrorIs(t, err, io.EOF, "it waited longest")
	healthy(t, rests, resting)

	_, err = io.WriteString(busy, "}")
	require.NoError(t, err)
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode, "what has a request is left alone")
}

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
	c.closeSilent()
	_, err := fromSilent.Read(make([]byte, 1))
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
	closed  []api.Closed
}

func (c *tally) CountRefused(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, status)
}

func (c *tally) CountClosed(reason api.Closed) {
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

// Where all have a request, one more waits.
func TestConnections_oneMoreWaitsForRequests(t *testing.T) {
	s := start(t, environment(t, "MAX_CONNECTIONS", "1"))
	busy, answers := inFlight(t, s.addr)
	more, r := dial(t, s.addr)
	_, err := io.WriteString(more, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, more.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = r.ReadByte()
	require.ErrorContains(t, err, "timeout")

	_, err = io.WriteString(busy, "}")
	require.NoError(t, err)
	status, err := answers.ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, status, "201")
	require.NoError(t, more.SetReadDeadline(time.Now().Add(patience)))
	status, err = r.ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, status, "200")
}

// One that waits for room does not hold the end.
func TestConnections_shutdownWhileOneWaits(t *testing.T) {
	s := start(t, environment(t, "MAX_CONNECTIONS", "1", "SHUTDOWN_TIMEOUT_MS", "200",
		"READ_TIMEOUT_MS", "600000", "READ_HEADER_TIMEOUT_MS", "600000"))
	inFlight(t, s.addr)
	dial(t, s.addr)
	assert.Zero(t, s.end(t), s.errOut)
}

// A request that comes during the shutdown is the last of its connection.
func TestShutdown_connectionsAreNotKept(t *testing.T) {
	s := start(t, environment(t, "SHUTDOWN_DELAY_MS", "1000"))
	conn, r := dial(t, s.addr)
	healthy(t, conn, r)
	s.stop()
	s.log.wait(t, "shutting down")
	got := exchange(t, s.addr, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	assert.Equal(t, []int{http.StatusOK}, got)
	_, err := io.WriteString(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode, "but it is served")
	assert.True(t, resp.Close)
	assert.Zero(t, s.end(t), s.errOut)
}
