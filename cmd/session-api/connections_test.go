package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	s := start(t, servicetest.Environment(t, "MAX_CONNECTIONS", "3"))
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

// Where all have a request, one more waits.
func TestConnections_oneMoreWaitsForRequests(t *testing.T) {
	s := start(t, servicetest.Environment(t, "MAX_CONNECTIONS", "1"))
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
	s := start(t, servicetest.Environment(t, "MAX_CONNECTIONS", "1", "SHUTDOWN_TIMEOUT_MS", "200",
		"READ_TIMEOUT_MS", "600000", "READ_HEADER_TIMEOUT_MS", "600000"))
	inFlight(t, s.addr)
	dial(t, s.addr)
	assert.Zero(t, s.end(t), s.errOut)
}

// A request that comes during the shutdown is the last of its connection.
func TestShutdown_connectionsAreNotKept(t *testing.T) {
	s := launch(t, servicetest.Binary(t), servicetest.Environment(t, "SHUTDOWN_DELAY_MS", "25000", "SHUTDOWN_TIMEOUT_MS", "1000"))
	conn, r := dial(t, s.addr)
	healthy(t, conn, r)
	s.signal(t, syscall.SIGTERM)
	awaitUnready(t, "http://"+s.addr)
	got := exchange(t, s.addr, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	assert.Equal(t, []int{http.StatusOK}, got)
	_, err := io.WriteString(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode, "but it is served")
	assert.True(t, resp.Close)
}
