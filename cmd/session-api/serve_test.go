package main

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/servicetest"
	"session-api/internal/store/memory"
)

func TestServe_nothingConfigured(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, map[string]string{"PORT": "0"})

	host, _, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", host)
	assert.DirExists(t, filepath.Join(os.TempDir(), "validator-analysis"))

	resp := do(t, http.MethodGet, s.url("/healthz"), nil, "")
	assert.Equal(t, http.StatusOK, resp.status)
	resp = do(t, http.MethodGet, s.url("/readyz"), nil, "")
	assert.Equal(t, http.StatusOK, resp.status)
	resp = do(t, http.MethodPost, s.url("/api/session"), nil, "")
	require.Equal(t, http.StatusCreated, resp.status)
	resp = do(t, http.MethodGet, s.url("/api/session"), http.Header{"Cookie": {strings.Split(resp.header.Get("Set-Cookie"), ";")[0]}}, "")
	assert.Equal(t, http.StatusOK, resp.status)

	s.log.wait(t, "for development only")
	require.Zero(t, s.end(t), s.errOut)
	warnings := s.log.all("for development only")
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0]["SESSION_SECRET"], "random")
	assert.Contains(t, warnings[0]["SERVICE_TOKENS"], "open")
	assert.Len(t, s.log.all("listening"), 1)
	assert.Empty(t, s.errOut.String())
}

func TestServe_production(t *testing.T) {
	s := start(t, servicetest.Production(t, "HOST", "127.0.0.1"))
	resp := do(t, http.MethodPost, s.url("/api/session"), nil, "")
	require.Equal(t, http.StatusCreated, resp.status)
	assert.Contains(t, resp.header.Get("Set-Cookie"), "; Secure")
	assert.True(t, strings.HasPrefix(resp.header.Get("Set-Cookie"), "__Host-validator_session_id="), "no other host can plant it")
	require.Len(t, s.log.all("listening"), 1)
	assert.Equal(t, "__Host-validator_session_id", s.log.all("listening")[0]["cookie"])
	resp = do(t, http.MethodPost, s.url("/api/cleanup"), nil, "")
	assert.Equal(t, http.StatusUnauthorized, resp.status)
	resp = do(t, http.MethodPost, s.url("/api/cleanup"), http.Header{"Authorization": {"Bearer " + servicetest.Token}}, "")
	assert.Equal(t, http.StatusOK, resp.status)

	require.Zero(t, s.end(t), s.errOut)
	assert.Empty(t, s.log.all("for development only"))
	assert.NotContains(t, s.log.String(), servicetest.SessionSecret)
	assert.NotContains(t, s.log.String(), servicetest.Token)
}

func TestServe_refusesBadConfiguration(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), nil, map[string]string{
		"APP_ENV": "production", "PORT": "http", "SESSION_SECRET": "hunter2", "COOKIE_DOMAIN": "a b",
	}, &out, &errOut)
	assert.Equal(t, 1, status)
	assert.Empty(t, out.String())
	for _, name := range []string{"PORT: ", "SESSION_SECRET: ", "SERVICE_TOKENS: ", "COOKIE_DOMAIN: "} {
		assert.Contains(t, errOut.String(), name)
	}
	assert.NotContains(t, errOut.String(), "hunter2")
}

func TestServe_takenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)

	var out, errOut bytes.Buffer
	assert.Equal(t, 1, run(t.Context(), nil, servicetest.Environment(t, "PORT", port), &out, &errOut))
	assert.Contains(t, errOut.String(), "cannot listen on 127.0.0.1:"+port)
	assert.Contains(t, errOut.String(), "in use")
	assert.Empty(t, out.String())
}

func TestServe_warnsOfSlips(t *testing.T) {
	s := start(t, servicetest.Environment(t, "SESSION_TTL", "1000", "SESSION_SECRET", "short"))
	assert.Contains(t, s.log.wait(t, "unknown variables that look like settings")["names"], "SESSION_TTL (did you mean SESSION_TTL_MS?)")
	assert.Contains(t, s.log.wait(t, "for development only")["SESSION_SECRET"], "shorter than 32 bytes")
}

func TestServe_settingsReachTheAPI(t *testing.T) {
	s := start(t, servicetest.Environment(t,
		"COOKIE_NAME", "sid", "COOKIE_DOMAIN", "a.example", "COOKIE_SAMESITE", "strict", "SESSION_TTL_MS", "60000",
		"ALLOWED_ORIGINS", "https://app.example", "SESSION_MAX_BYTES", "2048", "CREATE_RATE_PER_MINUTE", "10",
		"SESSION_FORBIDDEN_KEYS", "password",
	))
	create := func(body string) answer {
		return do(t, http.MethodPost, s.url("/api/session"),
			http.Header{"Content-Type": {"application/json"}, "Origin": {"https://app.example"}}, body)
	}
	resp := create("")
	require.Equal(t, http.StatusCreated, resp.status)
	cookie, err := http.ParseSetCookie(resp.header.Get("Set-Cookie"))
	require.NoError(t, err)
	assert.Equal(t, "sid", cookie.Name)
	assert.Equal(t, "a.example", cookie.Domain)
	assert.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	assert.InDelta(t, 60, cookie.MaxAge, 1)
	assert.Equal(t, "https://app.example", resp.header.Get("Access-Control-Allow-Origin"))

	resp = create(`{"inputs":{"text":"` + strings.Repeat("x", 2048) + `"}}`)
	assert.Equal(t, http.StatusRequestEntityTooLarge, resp.status)
	resp = create(`{"inputs":{"Password":"x"}}`)
	assert.Equal(t, http.StatusUnprocessableEntity, resp.status, resp.body)
	created := 0
	untilTrue(t, "creations are limited", func() bool {
		resp := create("")
		created++
		return resp.status == http.StatusTooManyRequests
	})
	assert.LessOrEqual(t, created, 10)
}

func TestServe_headersOver16KiB(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	send := func(total int) string {
		const head, tail = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: ", "\r\n\r\n"
		conn, r := dial(t, s.addr)
		_, err := io.WriteString(conn, head+strings.Repeat("x", total-len(head)-len(tail))+tail)
		require.NoError(t, err)
		status, err := r.ReadString('\n')
		require.NoError(t, err)
		return status
	}
	assert.Contains(t, send(16<<10-1), "200")
	assert.Contains(t, send(16<<10+1), "431")
}

func TestServe_stalledHeaders(t *testing.T) {
	s := start(t, servicetest.Environment(t, "READ_HEADER_TIMEOUT_MS", "50"))
	conn, r := dial(t, s.addr)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost:")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	assert.NoError(t, err, "closed by the service, not by the deadline of the test")
}

func TestServe_optionsOfEverything(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	conn, r := dial(t, s.addr)
	_, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("X-Request-Id"))
}

func TestHealthcheck(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	check := func(environ map[string]string) (status int, text string) {
		var out, errOut bytes.Buffer
		return run(t.Context(), []string{"healthcheck"}, environ, &out, &errOut), errOut.String()
	}

	for _, environ := range []map[string]string{
		{"PORT": port},
		{"PORT": port, "HOST": "0.0.0.0"},
		{"PORT": port, "APP_ENV": "production", "SESSION_SECRET_FILE": "/missing", "LOG_LEVEL": "loud"},
		{"PORT": port, "HTTP_PROXY": "http://127.0.0.1:1"},
	} {
		status, text := check(environ)
		assert.Zero(t, status, "%v: %s", environ, text)
	}
	for says, environ := range map[string]map[string]string{
		"PORT":   {"PORT": "x"},
		"PORT=0": {"PORT": "0"},
	} {
		status, text := check(environ)
		assert.Equal(t, 1, status)
		assert.Contains(t, text, says)
	}
	require.Zero(t, s.end(t))
	status, text := check(map[string]string{"PORT": port})
	assert.Equal(t, 1, status)
	assert.Contains(t, text, "refused")
}

func TestHealthcheck_notWell(t *testing.T) {
	ill := http.Server{ReadHeaderTimeout: time.Second, Handler: http.NotFoundHandler()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = ill.Serve(listener) }()
	t.Cleanup(func() { _ = ill.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	var out, errOut bytes.Buffer
	assert.Equal(t, 1, run(t.Context(), []string{"healthcheck"}, map[string]string{"PORT": port}, &out, &errOut))
	assert.Contains(t, errOut.String(), "404")
}

func TestReachable(t *testing.T) {
	for host, want := range map[string]string{
		"0.0.0.0": "127.0.0.1", "::": "::1", "127.0.0.1": "127.0.0.1", "192.0.2.1": "192.0.2.1", "localhost": "localhost",
	} {
		assert.Equal(t, want, reachable(host))
	}
}

// What the settings take for an origin, the API takes.
func TestServe_takesEveryOrigin(t *testing.T) {
	for _, origin := range []string{
		"https://app.example", "http://localhost:4200", "https://xn--bcher-kva.example", "http://[::1]:3000",
		"capacitor://localhost", "tauri://localhost", "chrome-extension://abcdefghijklmnop",
	} {
		c, err := config.Load(servicetest.Environment(t, "ALLOWED_ORIGINS", origin))
		require.NoError(t, err)
		s, err := newService(c, memory.New(memory.Options{Policy: memory.LRU}), slog.New(slog.DiscardHandler), nil)
		require.NoError(t, err, origin)
		require.NoError(t, s.release())
	}
}
