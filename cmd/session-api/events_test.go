package main

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An event stream has no end of its own, and a shutdown does not wait for one.
func TestShutdown_endsEventStreams(t *testing.T) {
	s := start(t, servicetest.Environment(t, "SHUTDOWN_TIMEOUT_MS", beyondPatience))
	var streams []*bufio.Reader
	for range 3 {
		conn, r := dial(t, s.addr)
		_, err := io.WriteString(conn, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		require.Equal(t, http.StatusOK, resp.StatusCode)
		streams = append(streams, bufio.NewReader(resp.Body))
	}
	require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)
	for _, r := range streams {
		readCreated(t, r)
	}

	assert.Zero(t, s.end(t), s.errOut)
	assert.Empty(t, s.log.all("requests were cut off"))
	for _, body := range streams {
		content, err := io.ReadAll(body)
		require.NoError(t, err, "the end of an answer, not of a connection")
		assert.NotContains(t, string(content), "event: created\n")
	}
}

// readCreated reads up to the event of a session that was created.
func readCreated(t *testing.T, events *bufio.Reader) {
	t.Helper()
	for line := ""; line != "event: created\n"; {
		var err error
		line, err = events.ReadString('\n')
		require.NoError(t, err)
	}
}
