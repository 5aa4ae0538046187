package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// soon is how long another client's request may take while one holds what it
// can get.
const soon = 2 * time.Second

// holdOpen opens connections as a client at that address, and sends the same
// over each. What the service closes is not opened again.
func holdOpen(t *testing.T, addr, client string, count int, sent string) {
	t.Helper()
	narrow := dialer(4 << 10)
	narrow.LocalAddr = from(client).LocalAddr
	for range count {
		conn, err := narrow.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, sent) // it may be closed by now
	}
}

// from dials as a client at that address of the loopback network.
func from(client string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
}

// ask sends a request as a client at that address over a connection of its own,
// and returns how long the answer took.
func ask(t *testing.T, client, method, url string, header http.Header, body string) (answer, time.Duration) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header = header.Clone()
	asker := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: from(client).DialContext}, Timeout: patience,
	}
	began := time.Now()
	resp, err := asker.Do(req)
	require.NoError(t, err)
	got := read(t, resp)
	return got, time.Since(began)
}

// asks sends the same request again and again as another client, 10 times a round
// of SLOW_ROUNDS, and returns how long the answers took.
func asks(t *testing.T, status int, method, url string, header http.Header, body string) []time.Duration {
	t.Helper()
	var all []time.Duration
	for range 10 * rounds(t, "SLOW_ROUNDS", 1) {
		got, took := ask(t, otherAddr, method, url, header, body)
		require.Equal(t, status, got.status, got.body)
		all = append(all, took)
	}
	return all
}

// compare tells what one client did to the requests of another, beside the same
// requests without it.
func compare(t *testing.T, what string, without, with []time.Duration) {
	t.Helper()
	before, beside := percentile(without, 0.5), percentile(with, 0.5)
	longest := percentile(with, 1)
	t.Logf("%s: another's request took %v, %v without: %.1f times; the longest %v, %v without: %.1f times", what,
		beside.Round(time.Microsecond), before.Round(time.Microsecond), float64(beside)/float64(before),
		longest.Round(time.Microsecond), percentile(without, 1).Round(time.Microsecond), float64(longest)/float64(percentile(without, 1)))
	soaktest.Within(t, longest, soon, what)
}

const (
	attackerAddr = "127.0.0.2"
	otherAddr    = "127.0.0.3"
)

// One client that does on all connections what keeps a connection does not keep
// another from a new one.
func TestOneClient_connections(t *testing.T) {
	const most, count = 200, 220
	post := "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	create := fmt.Sprintf(post, "/api/session")
	for name, sent := range map[string]string{
		"a byte of a body":                   create + "Content-Length: 100\r\n\r\n{",
		"a chunk of a body":                  create + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"a body that nobody reads":           fmt.Sprintf(post, "/nowhere") + "Content-Length: 100\r\n\r\n{",
		"a body to a route without a caller": fmt.Sprintf(post, "/api/session/touch") + "Content-Length: 100\r\n\r\n{",
		"half a large body":                  create + "Content-Length: 1000000\r\n\r\n" + strings.Repeat(" ", 20<<10),
		"half a header":                      "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ",
		"nothing":                            "",
		"an event stream":                    "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"an answer that nobody reads":        strings.Repeat("GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n", 40),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, servicetest.Environment(t, "MAX_CONNECTIONS", fmt.Sprint(most), "ACCESS_LOG", "errors"))
			create := func() []time.Duration {
				return asks(t, http.StatusCreated, http.MethodPost, s.url("/api/session"), asJSON, `{"inputs":{"step":1}}`)
			}
			without := create()
			holdOpen(t, s.addr, attackerAddr, count, sent)
			compare(t, fmt.Sprintf("%d connections of one client, %s", count, name), without, create())
		})
	}
}

// Nor does it keep another's large body from its memory.
func TestOneClient_bodyMemory(t *testing.T) {
	const count, size = 260, 1_000_000
	s := start(t, servicetest.Environment(t, "ACCESS_LOG", "errors"))
	large := `{"inputs":{"text":"` + strings.Repeat("x", 900<<10) + `"}}`
	v := visit(t, "http://"+s.addr, `{"inputs":{"step":1}}`)
	put := func() []time.Duration {
		return asks(t, http.StatusOK, http.MethodPut, s.url("/api/session"), as(v.token, asJSON), large)
	}
	without := put()
	half := fmt.Sprintf("POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		size, strings.Repeat(" ", size/2))
	go func() {
		for range count { // the service takes it as it can
			conn, err := from(attackerAddr).DialContext(t.Context(), "tcp", s.addr)
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go func() { _, _ = io.WriteString(conn, half) }()
		}
	}()
	untilTrue(t, "all of them are open", func() bool {
		got, _ := ask(t, otherAddr, http.MethodGet, s.url("/metrics"), nil, "")
		return strings.Contains(got.body, "process_open_fds") && openFiles(got.body) > count
	})
	compare(t, fmt.Sprintf("%d half-sent bodies of one client, and a PUT of 900 KiB", count), without, put())
}

// slowBodyGrace is how long a body may be too slow.
const slowBodyGrace = 5 * time.Second

// openFiles reads the number of open files in a page of metrics.
func openFiles(page string) (n int) {
	_, after, _ := strings.Cut(page, "\nprocess_open_fds ")
	_, _ = fmt.Sscan(after, &n)
	return n
}

// A body that does not come is answered long before the request's time is over,
// and one whose handler gives it time is not.
func TestMinBodyRate(t *testing.T) {
	s := start(t, servicetest.Environment(t, "READ_TIMEOUT_MS", "60000"))
	importing, imported := dial(t, s.addr)
	_, err := io.WriteString(importing, "POST /api/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n")
	require.NoError(t, err)

	began := time.Now()
	post := "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	assert.Equal(t, []int{http.StatusRequestTimeout}, exchange(t, s.addr, post))
	assert.GreaterOrEqual(t, time.Since(began), slowBodyGrace)

	_, err = io.WriteString(importing, "0\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(imported, nil)
	require.NoError(t, err)
	got := read(t, resp)
	assert.Equal(t, http.StatusOK, got.status, got.body)
}

// What net/http answers by itself is counted, and nothing else is.
func TestRefusedRequestsAreCounted(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	long := "X-A: " + strings.Repeat("a", 17<<10)
	for _, raw := range []string{
		"GET /healthz HTTP/1.1\r\n\r\n",                                                      // no Host
		"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",                                               // no HTTP
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + long + "\r\n\r\n",                   // 431
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n",                    // 417
		"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n",                                   // 505
		"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n\r\n",          // 501
		"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",              // ours
		"GET /api/sessions?limit=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", // ours, and 400
	} {
		exchange(t, s.addr, raw)
	}
	page := do(t, http.MethodGet, s.url("/metrics"), nil, "").body
	for status, count := range map[int]int{400: 2, 431: 1, 417: 1, 505: 1, 501: 1} {
		assert.Contains(t, page, fmt.Sprintf("session_api_http_rejected_requests_total{status=\"%d\"} %d\n", status, count))
	}
	assert.NotContains(t, page, `session_api_http_rejected_requests_total{status="404"}`)
}
