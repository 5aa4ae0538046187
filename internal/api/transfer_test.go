package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

const ndjson = "application/x-ndjson"

func (s *service) export(query string) string {
	s.t.Helper()
	a := s.client().do("GET", "/api/export"+query, "").expect(http.StatusOK)
	require.Equal(s.t, ndjson, a.Header.Get("Content-Type"))
	return string(a.body)
}

func (s *service) importing(body string) *answer {
	s.t.Helper()
	return s.client().do("POST", "/api/import", body, "Content-Type", ndjson)
}

// moved is what an import answers.
func moved(imported, existing, ended, expired int) string {
	return fmt.Sprintf(`{"imported":%d,"existing":%d,"ended":%d,"expired":%d,"present":%d}`, imported, existing, ended, expired, imported+existing)
}

// keep stores n sessions in a namespace.
func (s *service) keep(namespace string, n int) {
	s.t.Helper()
	now := s.clock.Now()
	for i := range n {
		sess, err := new(schema.Rules).Build(schema.Session{
			Namespace: namespace, ID: fmt.Sprintf("session-of-%s-%04d", namespace, i), CreatedAt: now, UpdatedAt: now,
			Revision: int64(i + 1), TTL: time.Hour, ExpiresAt: now.Add(time.Hour),
		}, schema.EmptySections())
		require.NoError(s.t, err)
		require.NoError(s.t, s.store.Create(s.t.Context(), now, sess))
	}
}

func TestTransfer_roundTrip(t *testing.T) {
	here, there := start(t), start(t)
	visitors := make([]*client, 40)
	for i := range visitors {
		visitors[i] = here.client()
		visitors[i].create(fmt.Sprintf(`{"user":{"id":"u-%d","roles":["r"]},"inputs":{"n":%d.50,"t":"\u0041é\n"},"ttlMs":%d}`, i%7, i, 3600000+i))
		if i%3 == 0 {
			visitors[i].do("PATCH", "/api/session", `{"meta":{"changed":true}}`).expect(http.StatusOK)
		}
	}
	here.keep("shop", 300)
	file := here.export("")
	assert.Equal(t, 340, strings.Count(file, "\n"))
	assert.NotContains(t, file, `"token"`)

	there.clock.advance(time.Minute)
	assert.Equal(t, moved(340, 0, 0, 0), string(there.importing(file).expect(http.StatusOK).body))
	assert.Equal(t, file, there.export(""))
	for _, c := range visitors {
		before := c.do("GET", "/api/session?touch=false", "").expect(http.StatusOK)
		token := []string{"Authorization", "Bearer " + c.token()}
		after := there.client().do("GET", "/api/session?touch=false", "", token...).expect(http.StatusOK)
		assert.Equal(t, string(before.body), string(after.body))
		assert.Equal(t, before.Header.Get("ETag"), after.Header.Get("ETag"))
		there.client().do("PATCH", "/api/session", `{"meta":{"there":1}}`, append(token, "If-Match", before.Header.Get("ETag"))...).expect(http.StatusOK)
	}

	// Again: what has changed there stays, what was ended there stays so, and
	// what has expired meanwhile is none any more.
	gone := visitors[0].token()
	there.client().do("DELETE", "/api/session", "", "Authorization", "Bearer "+gone).expect(http.StatusNoContent)
	assert.Equal(t, moved(0, 339, 1, 0), string(there.importing(file).expect(http.StatusOK).body))
	there.client().do("GET", "/api/session", "", "Authorization", "Bearer "+gone).problem(http.StatusUnauthorized, "unauthorized")
	assert.Contains(t, there.export(""), `"there":1`)
	late := start(t)
	late.clock.advance(time.Hour)
	assert.Equal(t, moved(39, 0, 0, 301), string(late.importing(file).expect(http.StatusOK).body))
}

func TestTransfer_none(t *testing.T) {
	s := start(t)
	assert.Empty(t, s.export(""))
	for name, body := range map[string]io.Reader{"empty": http.NoBody, "chunked and empty": io.MultiReader()} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/import", body)
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, moved(0, 0, 0, 0), string(got))
		})
	}
	assert.Equal(t, moved(0, 0, 0, 0), string(s.importing("\n \n\r\n").expect(http.StatusOK).body))
}

func TestTransfer_onlyServices(t *testing.T) {
	s := start(t, func(set *settings) { set.Secrets.Service = services(serviceToken) })
	c := s.client()
	c.create("")
	for _, headers := range [][]string{nil, {"Authorization", "Bearer " + c.token()}} {
		c.do("GET", "/api/export", "", headers...).problem(http.StatusUnauthorized, "unauthorized")
		c.do("POST", "/api/import", "x", append(headers, "Content-Type", ndjson)...).problem(http.StatusUnauthorized, "unauthorized")
	}
	s.client().do("GET", "/api/export", "", "Authorization", "Bearer "+serviceToken).expect(http.StatusOK)
}

func TestExport_oneNamespace(t *testing.T) {
	s := start(t)
	s.keep("shop", 30)
	s.keep("shop-2", 5)
	s.keep("default", 3)
	file := s.export("?namespace=shop")
	assert.Equal(t, 30, strings.Count(file, `{"namespace":"shop",`))
	assert.Equal(t, 30, strings.Count(file, "\n"))
	assert.Equal(t, 38, strings.Count(s.export(""), "\n"))
	assert.Empty(t, s.export("?namespace=nobody-s"))
	for _, query := range []string{"?namespace=", "?namespace=Shop", "?namespace=a&namespace=b", "?namespace=%zz"} {
		s.client().do("GET", "/api/export"+query, "").problem(http.StatusBadRequest, "invalid_query")
	}
}

// pages is a store that lists page after page, until one fails.
type pages struct {
	backend.Store
	size, good int
	wait       func()
}

func (p *pages) Namespaces(context.Context, time.Time) ([]string, error) {
	return []string{"default"}, nil
}

func (p *pages) List(context.Context, time.Time, backend.Query) (backend.Page, error) {
	p.wait()
	if p.good--; p.good < 0 {
		return backend.Page{}, fmt.Errorf("%w: connection lost", backend.ErrUnavailable)
	}
	sess := schema.Session{Namespace: "default", ID: "0123456789abcdef", Revision: 1, TTL: time.Hour}
	sec := schema.EmptySections()
	sec.Inputs = []byte(`{"text":"` + strings.Repeat("x", p.size) + `"}`)
	sess, err := new(schema.Rules).Build(sess, sec)
	next := "more"
	if p.good == 0 && p.size == 0 {
		next = ""
	}
	return backend.Page{Sessions: []schema.Session{sess}, Next: next}, err
}

// listing is a service on a store of that many pages before it fails.
func listing(t *testing.T, p *pages) *service {
	t.Helper()
	if p.wait == nil {
		p.wait = func() {}
	}
	return start(t, func(set *settings) { p.Store, set.store = set.store, p })
}

// An export that cannot be completed never looks like one that is.
func TestExport_fails(t *testing.T) {
	t.Run("at the beginning", func(t *testing.T) {
		s := listing(t, &pages{})
		s.client().do("GET", "/api/export", "").problem(http.StatusServiceUnavailable, "store_unavailable")
	})
	for name, p := range map[string]*pages{"after a little": {good: 1, size: 1}, "after much": {good: 30, size: 100_000}} {
		t.Run(name, func(t *testing.T) {
			s := listing(t, p)
			resp, err := http.Get(s.url + "/api/export")
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			require.ErrorContains(t, err, "EOF")
			s.until("both lines in the log", func() bool {
				log := s.log.String()
				return strings.Contains(log, `"msg":"export cut off"`) && strings.Contains(log, `"url.path":"/api/export"`)
			})
			assert.Contains(t, s.log.String(), "connection lost")
		})
	}
}

// soonEnough calls what is not to be cut off by a timeout, each time with a longer
// one, until it succeeds: a busy machine may take longer than a short one.
func soonEnough(t *testing.T, call func(timeout time.Duration) error) {
	t.Helper()
	var err error
	for timeout := 60 * time.Millisecond; timeout < 20*time.Second; timeout *= 4 {
		if err = call(timeout); err == nil {
			return
		}
	}
	require.NoError(t, err)
}

// It may take longer than the server lets other answers take.
func TestExport_takesItsTime(t *testing.T) {
	soonEnough(t, func(timeout time.Duration) error {
		s := listing(t, &pages{good: 6, wait: func() { <-time.After(timeout / 2) }})
		srv := httptest.NewUnstartedServer(s.api)
		srv.Config.WriteTimeout = timeout
		srv.Start()
		t.Cleanup(srv.Close)
		resp, err := http.Get(srv.URL + "/api/export")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		got, err := io.ReadAll(resp.Body)
		if err == nil {
			assert.Equal(t, 6, strings.Count(string(got), "\n"))
		}
		return err
	})
}

// Whoever does not read is not waited for.
func TestExport_stalledReader(t *testing.T) {
	s := listing(t, &pages{good: 1000, size: 1 << 20})
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.WriteTimeout = 100 * time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /api/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	s.until("it is cut off", func() bool { return strings.Contains(s.log.String(), `"msg":"export cut off"`) })
}

// records are the lines of n sessions, made elsewhere.
func records(t *testing.T, n int) []string {
	t.Helper()
	s := start(t)
	s.keep("shop", n)
	return strings.SplitAfter(s.export(""), "\n")[:n]
}

func TestImport_badLines(t *testing.T) {
	good := records(t, 9)
	with := func(n int, line string) string {
		list := append([]string(nil), good...)
		list[n-1] = line
		return strings.Join(list, "")
	}
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		detail string
		stored int
	}{
		"damaged":         {with(5, "{\"namespace\":\"hunter2\n"), 400, "invalid_json", "Line 5: ", 4},
		"the first":       {with(1, "hunter2\n"), 400, "invalid_json", "Line 1: ", 0},
		"not an object":   {with(9, "[]\n"), 400, "invalid_json", "Line 9: ", 8},
		"a second value":  {with(2, strings.TrimSpace(good[1])+"{}\n"), 400, "invalid_json", "Line 2: ", 1},
		"a duplicate key": {with(3, strings.Replace(good[2], `"inputs":{}`, `"inputs":{"a":1,"a":2}`, 1)), 400, "invalid_json", "Line 3: ", 2},
		"a mark":          {"\ufeff" + with(2, ""), 400, "invalid_json", "Line 1: ", 0},
		"half a last one": {with(9, good[8][:len(good[8])/2]), 400, "invalid_json", "the file may have been cut off. Before it, 8 ", 8},
		"something else":  {with(7, "{\"id\":\"hunter2\"}\n"), 422, "validation_failed", "Line 7: ", 6},
		"a bad namespace": {with(4, strings.Replace(good[3], `"shop"`, `"Shop"`, 1)), 422, "validation_failed", "Line 4: ", 3},
		"a bad id":        {with(4, strings.Replace(good[3], `"session-of`, `"../session-of`, 1)), 422, "validation_failed", "Line 4: ", 3},
		"a bad key":       {with(6, strings.Replace(good[5], `"meta":{}`, `"meta":{"__proto__":{}}`, 1)), 422, "validation_failed", "Line 6: ", 5},
		"too large":       {with(6, strings.Replace(good[5], `"meta":{}`, `"meta":{"a":"`+long+`"}`, 1)), 413, "too_large", "Line 6: ", 5},
		"too long":        {with(4, long+long[:5000]+"\n"), 413, "too_large", "Line 4: ", 3},
		"longer":          {with(4, long+strings.Repeat(long, 8)+"\n"), 413, "too_large", "Line 4: ", 3},
		"longest":         {with(9, strings.Repeat(long, 8)), 413, "too_large", "Line 9: ", 8},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			p := s.importing(c.body).problem(c.status, c.code)
			assert.Contains(t, p.Detail, c.detail)
			assert.Contains(t, p.Detail, fmt.Sprintf("Before it, %d sessions were stored.", c.stored))
			assert.NotContains(t, p.Detail, "hunter2")
			assert.NotContains(t, p.Detail, "xxxx")
			if c.code == "validation_failed" {
				assert.NotEmpty(t, p.Errors)
			}
			assert.Equal(t, c.stored, strings.Count(s.export(""), "\n"))
		})
	}
}

func TestImport_mediaType(t *testing.T) {
	s := start(t)
	line := records(t, 1)[0]
	for _, headers := range [][]string{
		{"Content-Type", ""},
		{"Content-Type", "text/plain"},
		{"Content-Type", "application/json"},
		{"Content-Type", ndjson + "; charset=latin1"},
		{"Content-Type", ndjson, "Content-Encoding", "gzip"},
	} {
		s.client().do("POST", "/api/import", line, headers...).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	resp, err := http.Post(s.url+"/api/import", "application/jsonl; charset=UTF-8", strings.NewReader(line))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, line, s.export(""))
}

func TestImport_storeIsFull(t *testing.T) {
	s := start(t, func(set *settings) { set.store = memory.New(memory.Options{Policy: memory.None, MaxEntries: 4}) })
	a := s.importing(strings.Join(records(t, 9), ""))
	p := a.problem(http.StatusServiceUnavailable, "store_full")
	assert.Regexp(t, `^Line [1-9]: .* at the same time, 4 sessions were stored\.$`, p.Detail)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
}

// raw sends the head of an import and as much of a body.
func (s *service) raw(url, length, body string) *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(enough)))
	_, err = io.WriteString(conn, "POST /api/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+ndjson+"\r\n"+length+"\r\n\r\n"+body)
	require.NoError(s.t, err)
	tcp, ok := conn.(*net.TCPConn)
	require.True(s.t, ok)
	return tcp
}

// answered reads the problem that comes on a connection.
func answered(t *testing.T, conn net.Conn) (status int, p problem) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&p))
	assert.True(t, resp.Close)
	return resp.StatusCode, p
}

func TestImport_bodyBreaksOff(t *testing.T) {
	list := records(t, 3)
	body := list[0] + list[1] + list[2][:20]
	t.Run("shorter than announced", func(t *testing.T) {
		s := start(t)
		conn := s.raw(s.url, "Content-Length: 100000", body)
		require.NoError(t, conn.CloseWrite())
		status, p := answered(t, conn)
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Equal(t, "bad_request", p.Code)
		assert.Equal(t, "Line 3: The body ends before its announced length. Before it, 2 sessions were stored.", p.Detail)
	})
	t.Run("broken chunks", func(t *testing.T) {
		s := start(t)
		conn := s.raw(s.url, "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\nno chunk\r\n", len(body), body))
		status, p := answered(t, conn)
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Equal(t, "Line 3: The body cannot be read. Before it, 2 sessions were stored.", p.Detail)
	})
	t.Run("stalls", func(t *testing.T) {
		s := start(t)
		srv := httptest.NewUnstartedServer(s.api)
		srv.Config.ReadTimeout, srv.Config.ReadHeaderTimeout = 100*time.Millisecond, enough
		srv.Start()
		t.Cleanup(srv.Close)
		conn := s.raw(srv.URL, "Content-Length: 100000", body)
		status, p := answered(t, conn)
		assert.Equal(t, http.StatusRequestTimeout, status)
		assert.Equal(t, "request_timeout", p.Code)
		assert.Equal(t, "Line 3: Send the whole body without pausing. Before it, 2 sessions were stored.", p.Detail)
	})
}

// It may take longer than the server lets other requests take, as long as it
// gets on.
func TestImport_takesItsTime(t *testing.T) {
	list := records(t, 8)
	soonEnough(t, func(timeout time.Duration) error {
		s := start(t)
		srv := httptest.NewUnstartedServer(s.api)
		srv.Config.ReadTimeout, srv.Config.WriteTimeout = timeout, timeout
		srv.Start()
		t.Cleanup(srv.Close)
		in, out := io.Pipe()
		go func() {
			for _, line := range list {
				<-time.After(timeout / 5)
				_, _ = io.WriteString(out, line)
			}
			_ = out.Close()
		}()
		resp, err := http.Post(srv.URL+"/api/import", ndjson, in)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		got, err := io.ReadAll(resp.Body)
		if err == nil && string(got) != moved(8, 0, 0, 0) {
			err = fmt.Errorf("%d: %s", resp.StatusCode, got)
		}
		return err
	})
}

// FuzzImport reads any body. What it takes comes out again, and goes in again.
func FuzzImport(f *testing.F) {
	const line = `{"namespace":"shop","idleMs":3600000,"ownMs":5,"session":{"id":"0123456789abcdef","createdAt":"2026-11-21T17:04:05.123Z",` +
		`"updatedAt":"2026-11-21T17:04:05.123Z","expiresAt":"2026-11-21T18:04:05.123Z","version":1,"revision":7,` +
		`"user":{"id":"u","email":"","roles":[]},"inputs":{"a":1.50},"apiConfig":{},"results":{},"meta":{}}}`
	f.Add(line + "\n")
	f.Add(line + "\n\n" + line)
	f.Add(strings.Replace(line, "abcdef", "abcdeg", 1) + "\r\n" + line + "\n{}")
	f.Add(strings.Replace(line, "2026-11-21T18", "2026-11-21T16", 1) + "\n[")
	f.Add("\x00\n")
	f.Fuzz(func(t *testing.T, body string) {
		post := func(s *service, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "http://localhost/api/import", strings.NewReader(body))
			r.Header.Set("Content-Type", ndjson)
			w := httptest.NewRecorder()
			s.api.ServeHTTP(w, r)
			return w
		}
		file := func(s *service) string {
			w := httptest.NewRecorder()
			s.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/api/export", http.NoBody))
			require.Equal(t, http.StatusOK, w.Code)
			return w.Body.String()
		}
		here, there := start(t), start(t)
		switch w := post(here, body); w.Code {
		case http.StatusOK:
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			var p problem
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			require.Regexp(t, `^Line [1-9][0-9]*: .*Before it, [0-9]+ sessions were stored\.$`, p.Detail)
		default:
			require.Fail(t, "another status", "%d %s", w.Code, w.Body)
		}
		out := file(here)
		n := strings.Count(out, "\n")
		require.Equal(t, moved(n, 0, 0, 0), post(there, out).Body.String())
		require.Equal(t, out, file(there))
		require.Equal(t, moved(0, n, 0, 0), post(there, out).Body.String())
	})
}
