package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"session-api/internal/httpserver/http2test"
	"session-api/internal/servicetest"
)

// A shutdown waits for the requests of a connection, and says that there will
// be no other.
func TestHTTP2_shutdownLetsRequestsFinish(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true"))
	f := http2test.Dial(t, s.addr)
	posts(t, f, 1, 2)
	posts(t, f, 3, 2)
	s.stop()
	assert.EqualValues(t, 3, f.Last().LastStreamID)
	for _, stream := range []uint32{1, 3} {
		require.NoError(t, f.WriteData(stream, true, []byte("{}")))
		assert.Equal(t, http.StatusCreated, f.Status(stream))
	}
	require.NoError(t, f.Close())
	assert.Zero(t, s.end(t), s.errOut)
	assert.Empty(t, s.log.all("requests were cut off"))
}

// Until then it goes on as it was: each word of an end is a moment at which
// requests come too late.
func TestHTTP2_shutdownDelay(t *testing.T) {
	s := launch(t, servicetest.Binary(t), servicetest.Environment(t, "HTTP2", "true", "SHUTDOWN_DELAY_MS", "25000", "SHUTDOWN_TIMEOUT_MS", "1000"))
	f := http2test.Dial(t, s.addr)
	f.Request(1, false, "GET", "/healthz")
	require.Equal(t, http.StatusOK, f.Status(1))
	s.signal(t, syscall.SIGTERM)
	awaitUnready(t, "http://"+s.addr)
	f.Request(3, false, "GET", "/healthz")
	require.Equal(t, http.StatusOK, f.Status(3))
	f.Request(5, false, "GET", "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, f.Status(5), "nothing has come in between")

	brief := start(t, servicetest.Environment(t, "HTTP2", "true", "SHUTDOWN_DELAY_MS", "300"))
	f = http2test.Dial(t, brief.addr)
	f.Request(1, false, "GET", "/healthz")
	require.Equal(t, http.StatusOK, f.Status(1))
	brief.stop()
	assert.EqualValues(t, 1, f.Last().LastStreamID)
	f.Ended()
	assert.Zero(t, brief.end(t), brief.errOut)
}

// Who is silent does not hold it up, at whatever point of the beginning.
func TestHTTP2_shutdownDoesNotWaitForSilence(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "SHUTDOWN_TIMEOUT_MS", beyondPatience))
	silent, _ := dial(t, s.addr)
	late := http2test.New(t, silent)
	_, half := dial(t, s.addr)
	rests := http2test.Dial(t, s.addr)
	rests.Request(1, false, "GET", "/healthz")
	require.Equal(t, http.StatusOK, rests.Status(1))
	s.stop()
	rests.Last()
	_, _ = late.Conn.Write([]byte(http2.ClientPreface)) // unless it is closed by now
	_ = late.WriteSettings()
	assert.Zero(t, s.end(t), s.errOut)
	assert.Empty(t, s.log.all("requests were cut off"))
	for _, r := range []io.Reader{late.Conn, half, rests.Conn} {
		_, err := io.Copy(io.Discard, r)
		assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "closed by the service, not by the deadline of the test")
	}
}

// An event stream ends as an answer does.
func TestHTTP2_shutdownEndsEventStreams(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "SHUTDOWN_TIMEOUT_MS", beyondPatience))
	client := http2test.NewClient(t)
	resp, err := client.Get(s.url("/api/events"))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	made, _ := send(t, client, http.MethodPost, s.url("/api/session"), "")
	require.Equal(t, http.StatusCreated, made.status)
	events := bufio.NewReader(resp.Body)
	readCreated(t, events)
	s.stop()
	_, err = io.Copy(io.Discard, events)
	require.NoError(t, err)
	assert.Zero(t, s.end(t), s.errOut)
	assert.Empty(t, s.log.all("requests were cut off"))
}

// A client that goes elsewhere when it is told to loses no request.
func TestHTTP2_shutdownLosesNoRequest(t *testing.T) {
	const clients = 4
	leaves := start(t, servicetest.Environment(t, "HTTP2", "true", "CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors"))
	stays := start(t, servicetest.Environment(t, "HTTP2", "true", "CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors"))
	var answered, moved atomic.Int64
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, leaves.addr)
		if err == nil {
			return conn, nil
		}
		moved.Add(1)
		return new(net.Dialer).DialContext(ctx, network, stays.addr)
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	client := http.Client{Transport: transport, Timeout: patience}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				resp, err := client.Post("http://localhost/api/session", "application/json", strings.NewReader(`{"inputs":{"a":1}}`))
				if !assert.NoError(t, err) {
					return
				}
				_ = resp.Body.Close()
				assert.Equal(t, http.StatusCreated, resp.StatusCode)
				answered.Add(1)
			}
		})
	}
	untilTrue(t, "there is load", func() bool { return answered.Load() > 100 })
	assert.Zero(t, leaves.end(t), leaves.errOut)
	before := answered.Load()
	untilTrue(t, "the load goes on", func() bool { return answered.Load() > before+100 || t.Failed() })
	stop()
	running.Wait()
	assert.Positive(t, moved.Load())
}

// A gateway speaks HTTP/1.1 to its clients and HTTP/2 to the service.
func TestHTTP2_behindCaddy(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "SESSION_MAX_BYTES", "2048"))
	addr := "127.0.0.1:" + freePort(t, "127.0.0.1")
	path := filepath.Join(t.TempDir(), "Caddyfile")
	require.NoError(t, os.WriteFile(path, []byte(`{
	admin off
	auto_https off
}
http://`+addr+` {
	handle /api/* {
		reverse_proxy h2c://`+s.addr+`
	}
	handle /healthz {
		reverse_proxy h2c://`+s.addr+`
	}
	handle {
		forward_auth h2c://`+s.addr+` {
			uri /api/session/verify?
			copy_headers X-Session-Id
		}
		respond "session {http.request.header.X-Session-Id}"
	}
}
`), 0o600))
	proxy(t, addr, "caddy", "run", "--config", path, "--adapter", "caddyfile")

	base := "http://" + addr
	made := do(t, http.MethodPost, base+"/api/session", http.Header{"Content-Type": {"application/json"}}, `{"inputs":{"a":1}}`)
	require.Equal(t, http.StatusCreated, made.status, made.body)
	cookie, _, _ := strings.Cut(made.header.Get("Set-Cookie"), ";")
	header := http.Header{"Cookie": {"theme=dark; " + cookie}, "Content-Type": {"application/json"}}
	changed := do(t, http.MethodPatch, base+"/api/session", header, `{"inputs":{"b":2}}`)
	assert.Equal(t, http.StatusOK, changed.status, changed.body)
	got := do(t, http.MethodGet, base+"/api/session", header, "")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, `"inputs":{"a":1,"b":2}`)
	assert.Equal(t, http.StatusRequestEntityTooLarge, do(t, http.MethodPut, base+"/api/session", header, strings.Repeat(" ", 64<<10)).status)
	page := do(t, http.MethodPost, base+"/page", header, "a body")
	assert.Equal(t, http.StatusOK, page.status)
	assert.Regexp(t, `^session [0-9a-f]{64}$`, page.body)
	assert.Equal(t, http.StatusUnauthorized, do(t, http.MethodGet, base+"/page", nil, "").status)
	for _, path := range []string{"/api/session", "/page"} {
		over := do(t, http.MethodGet, base+path, http.Header{"X-A": {strings.Repeat("~", 40<<10)}}, "")
		assert.GreaterOrEqual(t, over.status, 400, "headers that Caddy may not send")
	}
	assert.Contains(t, s.log.String(), "HTTP/2.0")
	assert.NotContains(t, s.log.String(), "HTTP/1.1")
}
