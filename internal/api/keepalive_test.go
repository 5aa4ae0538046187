package api_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeepAliveHint(t *testing.T) {
	s := start(t, func(set *settings) { set.IdleTimeout = 65*time.Second + 900*time.Millisecond })
	c := s.client()
	for _, a := range []*answer{c.do("POST", "/api/session", "").expect(201), c.do("GET", "/api/session", "").expect(200), c.do("GET", "/nowhere", "").expect(404)} {
		assert.Equal(t, "timeout=65", a.Header.Get("Keep-Alive"))
		assert.False(t, a.Close)
	}
	for name, request := range map[string]string{
		"HTTP/1.0":           "GET /healthz HTTP/1.0\r\n\r\n",
		"the client closes":  "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"chunked":            "POST /api/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a body with GET":    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"a body left unread": "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000),
		"a body over the limit": "PUT /api/sessions/0123456789abcdef HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n" +
			strings.Repeat("x", 3000000),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Empty(t, resp.Header.Values("Keep-Alive"))
			_, err = r.ReadByte()
			assert.ErrorIs(t, err, io.EOF)
		})
	}
	none := start(t).client()
	assert.Empty(t, none.do("GET", "/healthz", "").Header.Values("Keep-Alive"))
	short := start(t, func(set *settings) { set.IdleTimeout = 999 * time.Millisecond }).client()
	assert.Equal(t, "timeout=0", short.do("GET", "/healthz", "").Header.Get("Keep-Alive"), "less than a second is none")
}
