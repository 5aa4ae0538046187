package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"session-api/internal/httpserver/http2test"
	"session-api/internal/servicetest"
)

// send asks over a client, and returns the answer.
func send(t *testing.T, client *http.Client, method, url, body string, headers ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Add(pair[0], pair[1])
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	return read(t, resp), resp.Proto
}

// Nobody gets HTTP/2 who did not ask for it.
func TestHTTP2_offUnlessSet(t *testing.T) {
	s := start(t, servicetest.Environment(t))
	assert.Equal(t, []int{http.StatusNotFound}, exchange(t, s.addr, http2.ClientPreface))
	assert.Equal(t, []int{http.StatusOK}, exchange(t, s.addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\n"+
		"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"))
	resp, err := http2test.NewClient(t).Get(s.url("/healthz"))
	if err == nil {
		_ = resp.Body.Close()
	}
	assert.Error(t, err)
}

var (
	anyID   = regexp.MustCompile(`[0-9a-f]{64}(\.[A-Za-z0-9+/%]{43,})?`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
)

// With it on, both are spoken on one port, and say the same.
func TestHTTP2_sameAnswers(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "SERVICE_TOKENS", servicetest.Token, "SESSION_TOMBSTONE_MS", "0", "CREATE_RATE_PER_MINUTE", "0"))
	const service = "Bearer " + servicetest.Token
	large := `{"inputs":{"text":"` + strings.Repeat("x", 60_000) + `"}}`
	steps := []struct{ method, path, body, headers string }{
		{"POST", "/api/session", `{"inputs":{"a":1}}`, "Content-Type: application/json"},
		{"GET", "/api/session", "", ""},
		{"GET", "/api/session?touch=false", "", "If-None-Match: ETAG"},
		{"HEAD", "/api/session", "", ""},
		{"PATCH", "/api/session", `{"inputs":{"b":2}}`, "Content-Type: application/merge-patch+json"},
		{"PATCH", "/api/session", `{"inputs":{"b":2}}`, `Content-Type: application/merge-patch+json, If-Match: "1"`},
		{"POST", "/api/session/operations", `[{"op":"add","path":"/meta/x","value":[]}]`, "Content-Type: application/json-patch+json"},
		{"PUT", "/api/session", large, "Content-Type: application/json"},
		{"GET", "/api/session", "", "Accept-Encoding: identity"},
		{"PUT", "/api/session", large[:len(large)-1], "Content-Type: application/json"},
		{"PUT", "/api/session", `{"x":1}`, "Content-Type: application/json"},
		{"PUT", "/api/session", `{}`, "Content-Type: text/plain"},
		{"PUT", "/api/session", `{"user":{"id":"u"}}`, "Content-Type: application/json"},
		{"PUT", "/api/session", "{" + strings.Repeat(" ", 2<<20) + "}", "Content-Type: application/json"},
		{"POST", "/api/session/touch", "", ""},
		{"POST", "/api/session/regenerate", "", ""},
		{"GET", "/api/session/verify", "", ""},
		{"PROPFIND", "/api/session/verify/x?y", "a body that nobody reads", ""},
		{"GET", "/api/session/verify?role=admin", "", ""},
		{"GET", "/api/session", "a body that nobody asked for", ""},
		{"DELETE", "/api/session", "", ""},
		{"GET", "/api/session", "", ""},
		{"GET", "/api/session/verify", "", ""},
		{"GET", "/api/session?touch=maybe", "", ""},
		{"GET", "/api/sessions", "", ""},
		{"PUT", "/api/sessions/a-session-of-its-own", `{"user":{"id":"u"}}`, "Content-Type: application/json, Authorization: " + service},
		{"GET", "/api/sessions", "", "Authorization: " + service},
		{"GET", "/api/export", "", "Authorization: " + service},
		{"POST", "/api/import", "{}\n", "Content-Type: application/x-ndjson, Authorization: " + service},
		{"POST", "/api/cleanup", "", "Authorization: " + service},
		{"DELETE", "/api/sessions?all=true", "", "Authorization: " + service},
		{"GET", "/nowhere", "", ""},
		{"DELETE", "/healthz", "", ""},
		{"OPTIONS", "/api/session", "", "Origin: https://elsewhere.example"},
		{"PUT", "/api/session", "{}", "Origin: https://elsewhere.example, Content-Type: application/json"},
		{"GET", "/openapi.yaml", "", ""},
	}
	walk := func(client *http.Client, proto string) (said []string) {
		cookie, tag := "", ""
		for _, step := range steps {
			headers := []string{"X-Request-Id", "r", "Cookie", "theme=dark; " + cookie}
			for line := range strings.SplitSeq(step.headers, ", ") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					headers = append(headers, name, strings.ReplaceAll(value, "ETAG", tag))
				}
			}
			got, spoken := send(t, client, step.method, s.url(step.path), step.body, headers...)
			require.Equal(t, proto, spoken)
			if set := got.header.Get("Set-Cookie"); set != "" {
				cookie, _, _ = strings.Cut(set, ";")
			}
			if tag = got.header.Get("Etag"); tag != "" { // another session, another ETag
				got.header.Set("Etag", "ETAG")
			}
			for _, name := range []string{"Date", "Connection", "Keep-Alive"} { // the protocol's
				got.header.Del(name)
			}
			var b strings.Builder
			b.WriteString(step.method + " " + step.path + " " + strconv.Itoa(got.status) + "\n")
			for i, set := range got.header["Set-Cookie"] {
				got.header["Set-Cookie"][i] = expires.ReplaceAllString(set, "")
			}
			if strings.Contains(got.body, `"durationMs"`) {
				got.header.Del("Content-Length") // it has the digits of the duration
			}
			require.NoError(t, got.header.Write(&b))
			b.WriteString(volatile.ReplaceAllString(got.body, ""))
			said = append(said, anyTime.ReplaceAllString(anyID.ReplaceAllString(b.String(), "ID"), "TIME"))
		}
		return said
	}
	first := http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(first.CloseIdleConnections)
	want := walk(&first, "HTTP/1.1")
	got := walk(http2test.NewClient(t), "HTTP/2.0")
	for i := range want {
		assert.Equal(t, want[i], got[i])
	}
}

// What differs from one answer to the next.
var (
	volatile = regexp.MustCompile(`(DurationMs|durationMs)":\d+|"life":"[^"]+"`)
	expires  = regexp.MustCompile(`Expires=[^;]+; `)
)

// Clients may send each cookie in a field of its own (RFC 9113 section 8.2.3).
func TestHTTP2_cookiesInPieces(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true"))
	made, _ := send(t, http2test.NewClient(t), http.MethodPost, s.url("/api/session"), "")
	cookie, _, _ := strings.Cut(made.header.Get("Set-Cookie"), ";")
	f := http2test.Dial(t, s.addr)
	f.Request(1, false, "GET", "/api/session", "cookie", "theme=dark", "cookie", cookie, "cookie", "a=b")
	assert.Equal(t, http.StatusOK, f.Status(1))
	f.Request(3, false, "GET", "/api/session/verify", "cookie", cookie, "cookie", "theme=dark; a=b")
	assert.Equal(t, http.StatusOK, f.Status(3))
	name, _, _ := strings.Cut(cookie, "=")
	f.Request(5, false, "GET", "/api/session", "cookie", name+"=other", "cookie", cookie)
	assert.Equal(t, http.StatusOK, f.Status(5), "one that opens nothing is none")
	made, _ = send(t, http2test.NewClient(t), http.MethodPost, s.url("/api/session"), "")
	other, _, _ := strings.Cut(made.header.Get("Set-Cookie"), ";")
	f.Request(7, false, "GET", "/api/session", "cookie", cookie, "cookie", other)
	assert.Equal(t, http.StatusBadRequest, f.Status(7), "two that contradict each other")
}

// What a connection may take of the service is said at its beginning.
func TestHTTP2_limitsOfAConnection(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true"))
	f := http2test.Dial(t, s.addr)
	frame, err := f.ReadFrame()
	require.NoError(t, err)
	settings, ok := frame.(*http2.SettingsFrame)
	require.True(t, ok, frame)
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 100, http2.SettingInitialWindowSize: 65535, http2.SettingMaxFrameSize: 16384,
	} {
		got, ok := settings.Value(id)
		assert.True(t, ok, id)
		assert.Equal(t, want, got, id)
	}
	for i := range uint32(100) {
		posts(t, f, 2*i+1, 2)
	}
	f.Request(201, false, "GET", "/healthz")
	assert.Contains(t, []http2.ErrCode{http2.ErrCodeRefusedStream, http2.ErrCodeProtocol}, f.Reset(201), "one more than may be")
	for i := range uint32(100) {
		require.NoError(t, f.WriteData(2*i+1, true, []byte("{}")))
		require.Equal(t, http.StatusCreated, f.Status(2*i+1))
	}
	f.Request(203, false, "GET", "/healthz")
	assert.Equal(t, http.StatusOK, f.Status(203))
}

// What is sent before anybody reads it fits into the window of the connection,
// however many requests there are.
func TestHTTP2_unreadBodiesAreBounded(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "MAX_BODY_MEMORY_BYTES", "65536", "READ_TIMEOUT_MS", "600000"))
	f := http2test.Dial(t, s.addr)
	for stream := range uint32(8) { // one at a time has room for all of its body
		f.Request(2*stream+1, true, "POST", "/api/session", "content-type", "application/json", "content-length", "65536")
		for range 4 {
			require.NoError(t, f.WriteData(2*stream+1, false, make([]byte, 16<<10-1)))
		}
	}
	f.Until("the client has sent more than it may", func(frame http2.Frame) bool {
		reset, ok := frame.(*http2.RSTStreamFrame)
		return ok && reset.ErrCode == http2.ErrCodeFlowControl
	})
}

// The limit on headers is that of HTTP/1.1, and what is over it costs no other
// request of the connection anything, as far as gateways let clients go.
func TestHTTP2_headersOver16KiB(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true"))
	f := http2test.Dial(t, s.addr)
	posts(t, f, 1, 2)
	stream := uint32(3)
	for size, want := range map[int]int{
		1 << 10: http.StatusOK, 15 << 10: http.StatusOK,
		17 << 10: http.StatusRequestHeaderFieldsTooLarge, 60 << 10: http.StatusRequestHeaderFieldsTooLarge,
	} {
		f.Request(stream, false, "GET", "/healthz", "x-a", strings.Repeat("~", size))
		assert.Equal(t, want, f.Status(stream), "%d bytes in one", size)
		f.Request(stream+2, false, "GET", "/healthz", "x-a", strings.Repeat("~", size/2), "x-b", strings.Repeat("~", size/2))
		assert.Equal(t, want, f.Status(stream+2), "%d bytes in two", size)
		raw := "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("~", size) + "\r\n\r\n"
		if want == http.StatusOK {
			raw += "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
			assert.Equal(t, []int{want, want}, exchange(t, s.addr, raw))
		} else {
			assert.Equal(t, []int{want}, exchange(t, s.addr, raw+smuggled))
		}
		stream += 4
	}
	require.NoError(t, f.WriteData(1, true, []byte("{}")))
	assert.Equal(t, http.StatusCreated, f.Status(1))
	f.Request(stream, false, "GET", "/healthz", "x-a", strings.Repeat("~", 80<<10))
	f.Last()
	f.Ended()
}

// A connection whose beginning stops somewhere is closed.
func TestHTTP2_stalledBeginnings(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "READ_HEADER_TIMEOUT_MS", "200", "IDLE_TIMEOUT_MS", "200"))
	var all []*http2test.Conn
	for _, sent := range []string{"", "GET ", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM", http2.ClientPreface} {
		conn, _ := dial(t, s.addr)
		_, err := io.WriteString(conn, sent)
		require.NoError(t, err)
		all = append(all, http2test.New(t, conn))
	}
	all = append(all, http2test.Dial(t, s.addr), http2test.Dial(t, s.addr))
	require.NoError(t, all[len(all)-1].WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
	for _, f := range all {
		_, err := io.Copy(io.Discard, f.Conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "closed by the service, not by the deadline of the test")
	}
}

// A body that does not come gets its 408, one that is too large its 413, one
// that is taken back nothing; and all that costs no other request of the
// connection anything.
func TestHTTP2_bodiesThatAreNotRead(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "READ_TIMEOUT_MS", "1000"))
	f := http2test.Dial(t, s.addr)
	posts(t, f, 1, 100)
	require.NoError(t, f.WriteData(1, false, []byte("{")))
	assert.Equal(t, http.StatusRequestTimeout, f.Status(1))
	f.Request(3, true, "POST", "/api/session", "content-type", "application/json", "content-length", "99999999")
	assert.Equal(t, http.StatusRequestEntityTooLarge, f.Status(3))
	posts(t, f, 5, 100)
	require.NoError(t, f.WriteRSTStream(5, http2.ErrCodeCancel))
	f.Request(7, true, "GET", "/healthz", "content-length", "100")
	assert.Equal(t, http.StatusOK, f.Status(7), "nobody waits for it")
	f.Request(9, true, "GET", "/api/session/verify", "content-length", "100")
	assert.Equal(t, http.StatusUnauthorized, f.Status(9))
	posts(t, f, 11, 100)
	require.NoError(t, f.WriteData(11, true, []byte("{}")))
	assert.Equal(t, http.StatusBadRequest, f.Status(11), "it ends early")

	untilTrue(t, "what was taken back is neither a success nor a failure", func() bool {
		metrics := do(t, http.MethodGet, s.url("/metrics"), nil, "").body
		assert.NotContains(t, metrics, `status="5`)
		return strings.Contains(metrics, `session_api_http_requests_total{method="POST",route="/api/session",status="499"} 1`)
	})
	assert.Contains(t, s.log.String(), "HTTP/2.0")
}

// Who holds memory for a body that does not come is cut off for who needs it.
func TestHTTP2_bodiesShareTheirMemory(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "MAX_BODY_MEMORY_BYTES", "65536", "READ_TIMEOUT_MS", "600000"))
	f := http2test.Dial(t, s.addr)
	const size = 60_000
	posts(t, f, 1, size)
	body := `{"inputs":{"a":"` + strings.Repeat("x", size)
	require.NoError(t, f.WriteData(1, false, []byte(body[:16<<10])))
	require.NoError(t, f.WriteData(1, false, []byte(body[16<<10:28<<10])))
	for taken := 0; taken < 20<<10; { // and so more than a small body
		frame := f.Until("the body is read", func(frame http2.Frame) bool {
			_, ok := frame.(*http2.WindowUpdateFrame)
			return ok && frame.Header().StreamID == 1
		})
		taken += int(frame.(*http2.WindowUpdateFrame).Increment)
	}
	began := time.Now()
	got, _ := send(t, http2test.NewClient(t), http.MethodPost, s.url("/api/session"), body[:size-3]+`"}}`, "Content-Type", "application/json")
	assert.Equal(t, http.StatusCreated, got.status)
	assert.Equal(t, http.StatusRequestTimeout, f.Status(1))
	assert.Less(t, time.Since(began), time.Minute, "which is less than READ_TIMEOUT_MS")
	f.Request(3, false, "GET", "/healthz")
	assert.Equal(t, http.StatusOK, f.Status(3))
}

// Nor does a client hold it that takes nothing of what it has asked for, though
// its windows are open.
func TestHTTP2_answersThatAreNotRead(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "WRITE_TIMEOUT_MS", "3000", "MAX_BODY_MEMORY_BYTES", "4194304"))
	client := http2test.NewClient(t)
	made, _ := send(t, client, http.MethodPost, s.url("/api/session"), `{"inputs":{"a":"`+strings.Repeat("x", 900_000)+`"}}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusCreated, made.status)
	cookie, _, _ := strings.Cut(made.header.Get("Set-Cookie"), ";")

	conn, _ := dial(t, s.addr)
	f := http2test.New(t, conn)
	f.Begin(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	require.NoError(t, f.WriteWindowUpdate(0, 1<<30))
	for i := range uint32(100) {
		f.Request(2*i+1, false, "GET", "/api/session", "cookie", cookie)
	}
	require.Equal(t, http.StatusOK, f.Status(1)) // and of no other answer anything is read
	reads := func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/api/session"), http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Cookie", cookie)
		resp, err := client.Do(req)
		if err != nil { // it has waited longer than an answer may take here
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == http.StatusOK
	}
	untilTrue(t, "who reads is held up", func() bool {
		began := time.Now()
		return !reads() || time.Since(began) > 300*time.Millisecond
	})
	untilTrue(t, "but not for ever", reads)
}

// A stream of events has all the time there is, silent or not.
func TestHTTP2_eventsOutliveTimeouts(t *testing.T) {
	const timeout = 500 * time.Millisecond
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "WRITE_TIMEOUT_MS", "500", "READ_TIMEOUT_MS", "500", "IDLE_TIMEOUT_MS", "500"))
	resp, err := http2test.NewClient(t).Get(s.url("/api/events"))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, 2, resp.ProtoMajor)
	events := bufio.NewReader(resp.Body)
	for range 2 {
		began := time.Now()
		untilTrue(t, "the timeouts are over", func() bool { return time.Since(began) > 2*timeout })
		untilTrue(t, "a session is created", func() bool { // on a busy machine, not within the timeouts
			resp, err := http.Post(s.url("/api/session"), "", http.NoBody)
			if err != nil {
				return false
			}
			defer func() { _ = resp.Body.Close() }()
			return resp.StatusCode == http.StatusCreated
		})
		readCreated(t, events)
	}
}

// So has an import, as long as it gets on. On a busy machine it may come to a stand,
// but not each time.
func TestHTTP2_importsOutliveTimeouts(t *testing.T) {
	var got answer
	for range 5 {
		var err error
		if got, err = importSlowly(t); err == nil && got.status == http.StatusOK {
			return
		}
		t.Log(err)
	}
	assert.Fail(t, "an import is cut off", got.body)
}

// importSlowly takes longer for an import than the timeouts of the service, but
// never pauses for as long.
func importSlowly(t *testing.T) (answer, error) {
	t.Helper()
	const timeout, parts = 2 * time.Second, 10
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "WRITE_TIMEOUT_MS", "2000", "READ_TIMEOUT_MS", "2000"))
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/api/import"), r)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-ndjson")
	go func() {
		tick := time.NewTicker(timeout * 5 / 4 / parts)
		defer tick.Stop()
		for range parts {
			<-tick.C
			_, _ = io.WriteString(w, "\n")
		}
		_ = w.Close()
	}()
	began := time.Now()
	resp, err := http2test.NewClient(t).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		assert.Greater(t, time.Since(began), timeout)
	}
	return answer{resp.StatusCode, resp.Header, string(content)}, err
}

// A connection has a request as long as one of its streams has.
func TestHTTP2_busyConnectionsAreLeftAlone(t *testing.T) {
	s := start(t, servicetest.Environment(t, "HTTP2", "true", "MAX_CONNECTIONS", "1"))
	f := http2test.Dial(t, s.addr)
	posts(t, f, 1, 2)
	posts(t, f, 3, 2)
	require.NoError(t, f.WriteData(1, true, []byte("{}")))
	require.Equal(t, http.StatusCreated, f.Status(1))
	more, r := dial(t, s.addr)
	_, err := io.WriteString(more, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, more.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = r.ReadByte()
	require.ErrorContains(t, err, "timeout")

	require.NoError(t, f.WriteData(3, true, []byte("{}")))
	require.Equal(t, http.StatusCreated, f.Status(3), "nobody has closed it")
	require.NoError(t, more.SetReadDeadline(time.Now().Add(patience)))
	status, err := r.ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, status, "200")
	f.Ended()
}

// posts begins a request of which the service reads the body.
func posts(t *testing.T, f *http2test.Conn, stream uint32, length int) {
	t.Helper()
	f.Request(stream, true, "POST", "/api/session", "content-type", "application/json",
		"content-length", strconv.Itoa(length), "expect", "100-continue")
	require.Equal(t, 100, f.Status(stream), "it comes when the handler reads the body")
}
