package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
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
			s := start(t, environment(t, "MAX_CONNECTIONS", fmt.Sprint(most), "ACCESS_LOG", "errors"))
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
	s := start(t, environment(t, "ACCESS_LOG", "errors"))
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

// openFiles reads the number of open files in a page of metrics.
func openFiles(page string) (n int) {
	_, after, _ := strings.Cut(page, "\nprocess_open_fds ")
	_, _ = fmt.Sscan(after, &n)
	return n
}

// A body that does not come is answered long before the request's time is over,
// and one whose handler gives it time is not.
func TestMinBodyRate(t *testing.T) {
	s := start(t, environment(t, "READ_TIMEOUT_MS", "60000"))
	importing, imported := dial(t, s.addr)
	_, err := io.WriteString(importing, "POST /api/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n")
	require.NoError(t, err)

	began := time.Now()
	post := "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	assert.Equal(t, []int{http.StatusRequestTimeout}, exchange(t, s.addr, post))
	assert.GreaterOrEqual(t, time.Since(began), paceGrace)

	_, err = io.WriteString(importing, "0\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(imported, nil)
	require.NoError(t, err)
	got := read(t, resp)
	assert.Equal(t, http.StatusOK, got.status, got.body)
}

// What counts is how long the client is waited for, not what the service does
// meanwhile.
func TestBodyPace(t *testing.T) {
	pace := newBodyPace(240)
	for name, tc := range map[string]struct {
		waited, reading time.Duration
		got             int64
		stalled, slow   bool
	}{
		"it has just begun":             {0, time.Second / 2, 0, false, true},
		"nothing for a while":           {0, time.Second, 1 << 20, true, false},
		"byte by byte":                  {time.Second, time.Second / 10, 10, true, true},
		"well enough":                   {10 * time.Second, time.Second / 10, 4000, false, false},
		"it is waited for by the other": {time.Hour, 0, 1, false, true},
	} {
		var p bodyProgress
		const now = 2 * time.Hour
		p.waited.Store(int64(tc.waited))
		p.got.Store(tc.got)
		if tc.reading > 0 {
			p.since.Store(int64(now - tc.reading))
		}
		assert.Equal(t, tc.stalled, pace.hasStalled(&p, now), name)
		_, all := p.time(now)
		assert.Equal(t, tc.slow, pace.isSlow(&p, all), name)
	}
}

// isHungUp reports whether the service has closed the other end.
func isHungUp(t *testing.T, conn net.Conn) bool {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !strings.Contains(err.Error(), "timeout")
}

// Clients with many connections lose those with requests to clients with few,
// the oldest first. Trusted proxies lose none of them.
func TestConnections_share(t *testing.T) {
	for name, tc := range map[string]struct {
		trusted []netip.Prefix
		client  string
		want    bool
	}{
		"another client":     {nil, otherAddr, true},
		"the same client":    {nil, attackerAddr, false},
		"of a trusted proxy": {[]netip.Prefix{netip.MustParsePrefix(attackerAddr + "/32")}, otherAddr, false},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 8
			told := new(tally)
			c := newConnections(most, tc.trusted, 0, told)
			var held []net.Conn
			for range most {
				ours, theirs := connectedFrom(t, c, attackerAddr)
				c.arrive(ours)
				c.track(ours, http.StateNew)
				c.track(ours, http.StateActive)
				held = append(held, theirs)
			}
			one, _ := connectedFrom(t, c, tc.client)
			c.arrive(one)
			assert.Equal(t, tc.want, isHungUp(t, held[0]))
			assert.False(t, isHungUp(t, held[1]))
			assert.Equal(t, most, c.open)
			if tc.want {
				assert.Equal(t, []api.Closed{api.ClosedShare}, told.closed)
				assert.Empty(t, c.line)
			} else {
				assert.Len(t, c.line, 1, "it waits")
			}
		})
	}
}

// Those in line are served by how much their clients have, and a client that
// fills the line loses its own place.
func TestConnections_line(t *testing.T) {
	const most = 8
	told := new(tally)
	c := newConnections(most, nil, 0, told)
	var busy []*connection
	for i := range most {
		ours, _ := connectedFrom(t, c, fmt.Sprintf("127.0.1.%d", i/2+1)) // nobody has more than a share
		c.arrive(ours)
		c.track(ours, http.StateNew)
		c.track(ours, http.StateActive)
		busy = append(busy, ours)
	}
	var waiting []net.Conn
	for range c.longest + 1 {
		ours, theirs := connectedFrom(t, c, "127.0.1.1")
		c.arrive(ours)
		waiting = append(waiting, theirs)
	}
	assert.Len(t, c.line, c.longest)
	assert.True(t, isHungUp(t, waiting[c.longest]), "the last")
	other, fromOther := connectedFrom(t, c, otherAddr)
	c.arrive(other)
	assert.True(t, isHungUp(t, waiting[c.longest-1]), "of who has the most in line")
	assert.Equal(t, []api.Closed{api.ClosedInLine, api.ClosedInLine}, told.closed)

	c.track(busy[7], http.StateClosed)
	require.NotEmpty(t, c.ready)
	assert.Same(t, other, c.ready[len(c.ready)-1], "who has none is next")
	assert.False(t, isHungUp(t, fromOther))
}

// A connection is its client's: an address of IPv4 however it is spelt, or 64
// bits of IPv6.
func TestAdmission_clients(t *testing.T) {
	a := newAdmission(10, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	of := func(addr string) *client { return a.clientOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))) }
	assert.Same(t, of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:2"))
	assert.NotSame(t, of("192.0.2.1:1"), of("192.0.2.2:1"))
	assert.Same(t, of("[2001:db8::1]:1"), of("[2001:db8::ffff:0:0:1]:1"))
	assert.NotSame(t, of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"))
	assert.Same(t, of("[fe80::1%eth0]:1"), of("[fe80::2%eth1]:1"))
	assert.True(t, of("10.1.2.3:1").trusted)
	assert.True(t, of("[::ffff:10.1.2.3]:1").trusted)
	assert.False(t, of("192.0.2.1:1").trusted)
}

// Nothing is kept of clients that have gone.
func TestAdmission_forgets(t *testing.T) {
	c := newConnections(2, nil, 0, new(tally))
	for range 5 {
		ours, _ := connected(t, c)
		c.arrive(ours)
		c.track(ours, http.StateNew)
		c.track(ours, http.StateClosed)
	}
	assert.Empty(t, c.clients)
	assert.Empty(t, c.heavy)
	assert.Zero(t, c.open)
}

// What net/http answers by itself is counted, and nothing else is.
func TestRefusedRequestsAreCounted(t *testing.T) {
	s := start(t, environment(t))
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
