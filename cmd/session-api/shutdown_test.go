package main

import (
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShutdown_letsRequestsFinish(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	conn, r := inFlight(t, s.addr)
	s.stop()
	s.log.wait(t, "shutting down")
	untilTrue(t, "new connections are refused", func() bool {
		other, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})

	_, err := io.WriteString(conn, "}")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode)
	assert.True(t, resp.Close, "the client is told that the connection ends")
	assert.Zero(t, s.end(t), s.errOut)
	assert.Len(t, s.log.all("stopped"), 1)
}

func TestShutdown_cutsOffWhatTakesTooLong(t *testing.T) {
	s := start(t, servicetest.Environment(t, "SHUTDOWN_TIMEOUT_MS", "20"))
	_, r := inFlight(t, s.addr)
	assert.Zero(t, s.end(t), s.errOut)
	assert.Len(t, s.log.all("requests were cut off"), 1)
	_, err := r.ReadByte()
	assert.Error(t, err)
}

// Readiness fails while the service goes on answering.
func TestShutdown_delay(t *testing.T) {
	p := launch(t, servicetest.Binary(t), servicetest.Environment(t, "SHUTDOWN_DELAY_MS", "25000", "SHUTDOWN_TIMEOUT_MS", "1000"))
	base := "http://" + p.addr
	p.signal(t, syscall.SIGTERM)
	awaitUnready(t, base)
	resp := do(t, http.MethodPost, base+"/api/session", nil, "")
	assert.Equal(t, http.StatusCreated, resp.status)
	resp = do(t, http.MethodGet, base+"/healthz", nil, "")
	assert.Equal(t, http.StatusOK, resp.status)

	s := start(t, servicetest.Environment(t, "SHUTDOWN_DELAY_MS", "300"))
	began := time.Now()
	assert.Zero(t, s.end(t), s.errOut)
	assert.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
}

// awaitUnready waits until a service that was told to end says so.
func awaitUnready(t *testing.T, base string) {
	t.Helper()
	untilTrue(t, "readiness fails", func() bool {
		return do(t, http.MethodGet, base+"/readyz", nil, "").status == http.StatusServiceUnavailable
	})
}

// net/http by itself waits five seconds for the first byte of a connection. A
// busy machine may take as long, but not each time.
func TestShutdown_doesNotWaitForSilence(t *testing.T) {
	for range 5 {
		if took := endBesideSilence(t); took < 4*time.Second {
			return
		}
	}
	assert.Fail(t, "the end waits for connections that say nothing")
}

// endBesideSilence returns how long the end of a service takes that has a
// connection without a request, and one that is kept.
func endBesideSilence(t *testing.T) time.Duration {
	t.Helper()
	s := start(t, servicetest.Environment(t))
	_, silent := dial(t, s.addr)
	keptAlive, r := dial(t, s.addr)
	_, err := io.WriteString(keptAlive, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil) // accepted in turn: so is the silent one
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.False(t, resp.Close)

	began := time.Now()
	assert.Zero(t, s.end(t), s.errOut)
	took := time.Since(began)
	_, err = silent.ReadByte()
	assert.ErrorIs(t, err, io.EOF)
	return took
}
