package httpserver

import (
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"session-api/internal/httpserver/http2test"
)

// However a connection ends, it is counted no more.
func TestHTTP2_connectionsAreCounted(t *testing.T) {
	conns := newConnections(10, nil, 0, new(tally))
	server := &http.Server{
		ReadHeaderTimeout: patience, WriteTimeout: patience, ConnState: conns.track, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
	}
	enableHTTP2(server, conns.observer.CountRefused)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(conns.limit(listener)) }()
	t.Cleanup(func() { _ = server.Close() })
	count := func() (open, waiting int) {
		conns.mu.Lock()
		defer conns.mu.Unlock()
		for p := conns.waiting.next; p != &conns.waiting; p = p.next {
			waiting++
		}
		return conns.open, waiting
	}

	addr := listener.Addr().String()
	rests, busy, broken := http2test.Dial(t, addr), http2test.Dial(t, addr), http2test.Dial(t, addr)
	rests.Request(1, false, "GET", "/")
	require.Equal(t, http.StatusOK, rests.Status(1))
	busy.Request(1, true, "POST", "/")
	busy.Request(3, true, "POST", "/")
	busy.Request(5, false, "POST", "/")
	require.Equal(t, http.StatusOK, busy.Status(5))
	broken.Request(1, true, "POST", "/")
	silent, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	require.Eventually(t, func() bool {
		open, waiting := count()
		return open == 4 && waiting == 2
	}, patience, time.Millisecond, "two of four wait")
	require.NoError(t, broken.WriteRSTStream(99, http2.ErrCodeCancel)) // which has never begun
	broken.Ended()
	require.NoError(t, busy.Close())
	require.Eventually(t, func() bool {
		open, waiting := count()
		return open == 2 && waiting == 2
	}, patience, time.Millisecond, "two are gone")
	require.NoError(t, server.Close())
	require.Eventually(t, func() bool {
		open, waiting := count()
		return open == 0 && waiting == 0
	}, patience, time.Millisecond, "all are gone")
}
