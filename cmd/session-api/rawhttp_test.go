package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exchange sends bytes as they are, and returns the statuses of all responses
// that come before the service closes the connection.
func exchange(t *testing.T, addr, raw string) []int {
	t.Helper()
	conn, r := dial(t, addr)
	_, err := io.WriteString(conn, raw)
	require.NoError(t, err)
	return statuses(t, r)
}

func statuses(t *testing.T, r *bufio.Reader) []int {
	t.Helper()
	var got []int
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil { // closed, or reset because bytes of ours were left unread
			require.NotContains(t, err.Error(), "timeout", "the connection stays open")
			return got
		}
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		got = append(got, resp.StatusCode)
	}
}

const smuggled = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"

func TestMalformedHTTPIsAnsweredAndClosed(t *testing.T) {
	s := start(t, map[string]string{"PORT": "0"})
	post := "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	cases := map[string]struct {
		raw  string
		want int
	}{
		"no Host":                       {"GET /healthz HTTP/1.1\r\n\r\n", 400},
		"two Hosts":                     {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"malformed Host":                {"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"two Content-Lengths":           {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + smuggled, 400},
		"negative Content-Length":       {post + "Content-Length: -1\r\n\r\n{}" + smuggled, 400},
		"hexadecimal Content-Length":    {post + "Content-Length: 0x2\r\n\r\n{}" + smuggled, 400},
		"signed Content-Length":         {post + "Content-Length: +2\r\n\r\n{}" + smuggled, 400},
		"NUL in a header":               {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n" + smuggled, 400},
		"bare CR in a header":           {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n" + smuggled, 400},
		"space before the colon":        {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A : a\r\n\r\n" + smuggled, 400},
		"gzip, chunked":                 {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled, 501},
		"identity":                      {post + "Transfer-Encoding: identity\r\n\r\n{}" + smuggled, 501},
		"Transfer-Encoding twice":       {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 501},
		"headers over 16 KiB":           {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 16<<10) + "\r\n\r\n" + smuggled, 431},
		"no HTTP at all":                {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400},
		"Content-Length and chunked":    {post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 201},
		"chunked":                       {post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + smuggled, 201},
		"bad chunk":                     {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + smuggled, 400},
		"body far over the limit":       {post + "Content-Length: 99999999\r\n\r\n{" + smuggled, 413},
		"GET that announces a body":     {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 200},
		"DELETE that announces a body":  {"DELETE /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", 204},
		"GET with a body that is a GET": {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 41\r\n\r\n" + smuggled, 200},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []int{tc.want}, exchange(t, s.addr, tc.raw))
		})
	}
}

func TestHeadersUpTo16KiBAreRead(t *testing.T) {
	s := start(t, map[string]string{"PORT": "0"})
	raw := "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: " + strings.Repeat("a", 15<<10) + "\r\n\r\n"
	assert.Equal(t, []int{200}, exchange(t, s.addr, raw))
}

func TestConnectionsAreKeptAliveAndPipelined(t *testing.T) {
	s := start(t, map[string]string{"PORT": "0"})
	one := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	last := "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	assert.Equal(t, []int{200, 200, 200}, exchange(t, s.addr, one+one+last))
}

func TestStalledRequestsAreCutOff(t *testing.T) {
	s := start(t, map[string]string{"PORT": "0", "READ_HEADER_TIMEOUT_MS": "200", "READ_TIMEOUT_MS": "300", "IDLE_TIMEOUT_MS": "200"})
	post := "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	assert.Empty(t, exchange(t, s.addr, ""), "silence")
	assert.Subset(t, []int{408}, exchange(t, s.addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "), "half a header")
	assert.Equal(t, []int{408}, exchange(t, s.addr, post+"Content-Length: 10\r\n\r\n{"), "half a body")
	assert.Equal(t, []int{400}, halfClosed(t, s.addr, post+"Content-Length: 10\r\n\r\n{"), "a body that ends early")
	assert.Equal(t, []int{200}, exchange(t, s.addr, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), "an idle connection")
}

// halfClosed sends the bytes and then closes its own direction.
func halfClosed(t *testing.T, addr, raw string) []int {
	t.Helper()
	conn, r := dial(t, addr)
	_, err := io.WriteString(conn, raw)
	require.NoError(t, err)
	require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
	return statuses(t, r)
}
