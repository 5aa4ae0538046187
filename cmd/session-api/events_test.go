package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An event stream has no end of its own, and a shutdown does not wait for one.
func TestShutdown_endsEventStreams(t *testing.T) {
	s := start(t, environment(t))
	var streams []io.Reader
	for range 3 {
		conn, r := dial(t, s.addr)
		_, err := io.WriteString(conn, "GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		require.Equal(t, http.StatusOK, resp.StatusCode)
		streams = append(streams, resp.Body)
	}
	require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)

	began := time.Now()
	assert.Zero(t, s.end(t), s.errOut)
	assert.Less(t, time.Since(began), 3*time.Second)
	assert.Empty(t, s.log.all("requests were cut off"))
	for _, body := range streams {
		content, err := io.ReadAll(body)
		require.NoError(t, err, "the end of an answer, not of a connection")
		assert.Equal(t, 1, strings.Count(string(content), "event: created\n"))
	}
}
