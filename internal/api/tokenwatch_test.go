package api_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/token"
)

// reload gives the service other tokens, as SIGHUP does.
func (s *service) reload(tokens ...token.Service) {
	s.t.Helper()
	require.NoError(s.t, s.api.SetSecrets(api.Secrets{Session: [][]byte{[]byte(secret)}, Service: tokens}))
}

// ends requires that nothing but comments comes any more, and that the stream is complete.
func (st *stream) ends() {
	st.t.Helper()
	for {
		m, err := st.block()
		if err != nil {
			require.ErrorIs(st.t, err, io.EOF)
			require.NotErrorIs(st.t, err, io.ErrUnexpectedEOF)
			return
		}
		require.Empty(st.t, m.event)
	}
}

// A stream ends with the token that opened it, and with no other.
func TestServiceTokens_streamsEnd(t *testing.T) {
	s := start(t, with(reader, writer, admin))
	kept, removed, narrowed, rotated := s.events("", bearerOf("admin")...), s.events("", bearerOf("reader")...), s.events("", bearerOf("writer")...), s.events("", bearerOf("reader")...)
	changed := reader
	changed.Sum = token.Sum("another secret")
	s.reload(tokenFor("writer", token.ScopeRead, "shop"), admin, changed)
	removed.ends()
	narrowed.ends()
	rotated.ends()
	d := s.client().create("")
	assert.Equal(t, d.ID, kept.of("created").told(t).SessionID)
	s.reload(tokenFor("admin", token.ScopeRead))
	d = s.client().create("")
	assert.Equal(t, d.ID, kept.of("created").told(t).SessionID, "the scope still suffices")
	s.reload(admin, writer)
	s.client().do("GET", "/api/events", "", bearerOf("reader")...).problem(401, "unauthorized")
}

func TestServiceTokens_streamsEndWithTheirTime(t *testing.T) {
	short := tokenFor("short", token.ScopeRead)
	s := start(t, func(set *settings) {
		short.Expires = set.Now().Add(time.Hour)
		set.Secrets.Service = []token.Service{short, admin}
	})
	st := s.events("", bearerOf("short")...)
	d := s.client().create("")
	assert.Equal(t, d.ID, st.of("created").told(t).SessionID)
	given := s.events("", bearerOf("admin")...) // before its token had an end
	ending := admin
	ending.Expires = s.clock.Now().Add(2 * time.Hour)
	s.reload(short, ending)
	s.clock.advance(time.Hour)
	st.ends()
	d = s.client().create("")
	assert.Equal(t, d.ID, given.of("created").told(t).SessionID)
	s.clock.advance(time.Hour)
	given.ends()
}

// Streams of a service whose routes were open end once they are not.
func TestServiceTokens_openStreamsEnd(t *testing.T) {
	s := start(t)
	st := s.events("")
	s.reload(admin)
	st.ends()
}

// An export whose reader does not read ends all the same.
func TestServiceTokens_exportsEnd(t *testing.T) {
	p := &pages{good: 1000, size: 1 << 20, wait: func() {}}
	s := start(t, func(set *settings) {
		p.Store, set.store = set.store, p
		set.Secrets.Service = []token.Service{admin}
	})
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.WriteTimeout = time.Hour // which would let it go on
	srv.Start()
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /api/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-secret-of-admin\r\n\r\n")
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1<<20)) // it has begun
	require.NoError(t, err)
	s.reload(reader)
	s.until("it is cut off", func() bool { return strings.Contains(s.log.String(), `"msg":"export cut off"`) })
	got, err := io.Copy(io.Discard, conn)
	assert.Less(t, got, int64(500<<20), "%v", err)
}

// A removed token imports nothing more, also while nothing comes.
func TestServiceTokens_importsEnd(t *testing.T) {
	s := start(t, with(admin))
	body, lines := io.Pipe()
	t.Cleanup(func() { _ = lines.Close() })
	type result struct {
		status int
		err    error
	}
	done := make(chan result, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/import", body)
		if err != nil {
			done <- result{0, err}
			return
		}
		req.Header.Set("Authorization", "Bearer the-secret-of-admin")
		req.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			done <- result{0, err}
			return
		}
		done <- result{resp.StatusCode, resp.Body.Close()}
	}()
	_, err := io.WriteString(lines, strings.Join(records(t, 1), ""))
	require.NoError(t, err)
	s.reload(reader)
	select {
	case got := <-done:
		if got.err == nil {
			assert.Equal(t, http.StatusUnauthorized, got.status)
		}
	case <-time.After(enough):
		require.NoError(t, errors.New("it goes on"))
	}
}
