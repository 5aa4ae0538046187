package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bothLines returns the line of one request as appendLine writes it, and as httplog and
// slog do.
func bothLines(t *testing.T, r *http.Request, c *requestState) (line, want string) {
	t.Helper()
	var out bytes.Buffer
	s := &Server{Options: Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))}}
	s.httplog = s.newHTTPLog()
	c.Context = r.Context()
	r = r.WithContext(c)
	s.logAccess(r, r.URL, c)
	want = out.String()
	out.Reset()
	s.AccessLog.Lines = &out
	s.logAccess(r, r.URL, c)
	return out.String(), want
}

// FuzzLine: appendLine says what httplog says, and hides what that hides.
func FuzzLine(f *testing.F) {
	id := strings.Repeat("0123456789abcdef", 4)
	f.Add("GET", "/api/session", "example.org", "curl/8.5.0", "", "r-1", id, 200, 1042, int64(123456))
	f.Add("PATCH", "/api/session?touch=false", "example.org:8080", "a \"b\" \\ \x01 \u2028 <b>", "https://a/?s:"+id+".abc", "", "", 200, 0, int64(1))
	f.Add("GET", "/api/sessions/an-id-of-a-caller/touch", "a", "Bearer abc", "bearer "+id, id, "", 304, -1, int64(time.Hour))
	f.Add("GET", "/s%3A"+id+".abc%2Bdef/%zz//x", "s:aaaaaaaaaaaaaaaaaaaa.b", "\xff", "", "x", "i", 204, 5, int64(0))
	f.Fuzz(func(t *testing.T, method, target, host, agent, referer, requestID, session string, status, sent int, took int64) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http has no request with such a target
		}
		r := &http.Request{
			Method: method, URL: u, Host: host, Proto: "HTTP/1.1", RemoteAddr: "192.0.2.1:4711",
			Header: http.Header{"User-Agent": {agent}, "Referer": {referer}},
		}
		c := &requestState{
			requestID: [1]string{requestID}, start: time.Now(), took: time.Duration(took), session: session,
			response: responseWriter{status: 200 + (status%200+200)%200, bytes: sent},
		}
		line, full := bothLines(t, r, c)
		require.Equal(t, 1, strings.Count(line, "\n"))
		var got, want map[string]any
		require.NoError(t, json.Unmarshal([]byte(full), &want), full)
		require.NoError(t, json.Unmarshal([]byte(line), &got), line)
		_, err = time.Parse(time.RFC3339Nano, got["time"].(string))
		require.NoError(t, err)
		delete(got, "time")
		delete(want, "time")
		require.Equal(t, want, got)
	})
}

// FuzzURLText: it is u.String().
func FuzzURLText(f *testing.F) {
	for _, s := range []string{"/api/session", "/api/session?x=y", "/a%2Fb", "//a/b", "http://h/p", "/ö", "/a b", "*", "/a:b", "/?", "/#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := url.ParseRequestURI(text); err == nil {
			require.Equal(t, u.String(), urlText(u))
		}
	})
}

// What is out of the ordinary is httplog's to tell, with the time that it took.
func TestLinesOfFailures(t *testing.T) {
	var out bytes.Buffer
	s := &Server{Options: Options{
		Logger:    slog.New(slog.NewJSONHandler(&out, nil)),
		AccessLog: AccessLog{Lines: &out},
	}}
	s.httplog = s.newHTTPLog()
	c := &requestState{Context: t.Context(), start: time.Now(), took: 1234567 * time.Nanosecond, response: responseWriter{status: 503, bytes: 99}}
	r, err := http.NewRequestWithContext(c, http.MethodGet, "/api/session?a=b", http.NoBody)
	require.NoError(t, err)
	s.logAccess(r, r.URL, c)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	assert.Equal(t, "ERROR", line["level"])
	assert.Equal(t, "GET /api/session?[redacted] => HTTP 503 (1.234567ms)", line["msg"])
	assert.InDelta(t, 1234567, line["event.duration"], 0)
	assert.InDelta(t, 99, line["http.response.body.bytes"], 0)

	out.Reset()
	c.response.status, c.panicked = 200, http.ErrAbortHandler
	assert.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { s.logAccess(r, r.URL, c) })
	assert.Contains(t, out.String(), "abort")
}
