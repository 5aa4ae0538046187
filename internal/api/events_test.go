package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

func init() { // which the contract's checker does not know
	for _, text := range []string{"text/event-stream", "application/x-ndjson"} {
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.RegisteredBodyDecoder("text/plain"))
	}
}

// enough is how long a test waits for what should come at once.
const enough = 2 * time.Minute

// stream is an event stream that a test reads.
type stream struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Reader
	stop context.CancelFunc
}

// message is one block of a stream.
type message struct{ id, event, data, comment, retry string }

// events opens a stream at the service's own address.
func (s *service) events(query string, headers ...string) *stream {
	s.t.Helper()
	return openStream(s.t, s.url+"/api/events"+query, headers...)
}

func openStream(t *testing.T, url string, headers ...string) *stream {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), enough)
	t.Cleanup(stop)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	st := &stream{t: t, resp: resp, r: bufio.NewReader(resp.Body), stop: stop}
	assert.Equal(t, message{retry: "2000"}, st.next())
	return st
}

// block reads a block of lines, to the empty one.
func (st *stream) block() (m message, err error) {
	for {
		line, err := st.r.ReadString('\n')
		if err != nil {
			return m, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "":
			return m, nil
		case ":":
			m.comment = ":"
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "retry":
			m.retry = value
		default:
			return m, fmt.Errorf("a line that is none: %q", line)
		}
	}
}

// next is the next block.
func (st *stream) next() message {
	st.t.Helper()
	m, err := st.block()
	require.NoError(st.t, err)
	return m
}

// get is the next block, which must be an event of that kind.
func (st *stream) of(event string) message {
	st.t.Helper()
	m := st.next()
	require.Equal(st.t, event, m.event, "%+v", m)
	return m
}

// told is what the data of an event says.
type told struct {
	Type, Namespace, SessionID, PreviousID, UserID string
	At                                             time.Time
	Revision                                       int64
	ExpiresAt                                      *time.Time
}

func (m message) told(t *testing.T) (e told) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(m.data))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&e), m.data)
	require.Equal(t, m.event, e.Type)
	return e
}

func TestEvents_aLife(t *testing.T) {
	s := start(t)
	st := s.events("")
	assert.Equal(t, "text/event-stream", st.resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", st.resp.Header.Get("Cache-Control"))
	assert.Equal(t, "no", st.resp.Header.Get("X-Accel-Buffering"))

	c := s.client()
	made := c.create(`{"user":{"id":"u-\u00e9 \"1\""}}`)
	m := st.of("created")
	assert.Equal(t, `{"type":"created","at":"2026-11-21T17:04:05.123Z","namespace":"default","sessionId":"`+made.ID+
		`","userId":"u-é \"1\"","revision":1,"expiresAt":"2026-11-22T17:04:05.123Z"}`, m.data)
	assert.NotEmpty(t, m.id)
	ids := []string{m.id}

	c.do("PATCH", "/api/session", `{"inputs":{"a":1}}`).expect(http.StatusOK)
	m = st.of("updated")
	assert.EqualValues(t, 2, m.told(t).Revision)
	ids = append(ids, m.id)

	s.clock.advance(2 * time.Minute)
	c.do("GET", "/api/session", "").expect(http.StatusOK)
	m = st.of("touched")
	assert.Equal(t, made.ExpiresAt.Add(2*time.Minute), *m.told(t).ExpiresAt)
	assert.EqualValues(t, 2, m.told(t).Revision)
	ids = append(ids, m.id)

	next := c.do("POST", "/api/session/regenerate", "").expect(http.StatusOK).document()
	m = st.of("regenerated")
	assert.Equal(t, next.ID, m.told(t).SessionID)
	assert.Equal(t, made.ID, m.told(t).PreviousID)
	ids = append(ids, m.id)

	c.do("DELETE", "/api/session", "").expect(http.StatusNoContent)
	m = st.of("deleted")
	assert.Equal(t, `u-é "1"`, m.told(t).UserID)
	assert.Nil(t, m.told(t).ExpiresAt)
	ids = append(ids, m.id)

	gone := s.client().create("")
	assert.Empty(t, st.of("created").told(t).UserID)
	s.clock.advance(25 * time.Hour)
	_, err := s.store.Sweep(t.Context(), s.clock.Now())
	require.NoError(t, err)
	assert.Equal(t, gone.ID, st.of("expired").told(t).SessionID)

	seen := map[string]bool{}
	for _, id := range ids {
		assert.False(t, seen[id], "%s is twice in %v", id, ids)
		seen[id] = true
	}
}

func TestEvents_neverATokenNorASection(t *testing.T) {
	s := start(t)
	st := s.events("")
	c := s.client()
	c.create(`{"user":{"id":"u","email":"mail-of-u@example.com","roles":["role-of-u"]},"inputs":{"secret":"hunter2"}}`)
	first := c.token()
	c.do("POST", "/api/session/regenerate", "").expect(http.StatusOK)
	for _, kind := range []string{"created", "regenerated"} {
		data := st.of(kind).data
		for _, token := range []string{first, c.token()} {
			_, signature, _ := strings.Cut(token, ".")
			assert.NotContains(t, data, signature)
		}
		for _, secret := range []string{"hunter2", "mail-of-u", "role-of-u", "s:", "s%3A"} {
			assert.NotContains(t, data, secret)
		}
	}
}

func TestEvents_filters(t *testing.T) {
	s := start(t)
	streams := map[string]*stream{}
	for _, query := range []string{
		"?type=deleted", "?type=created&type=deleted&type=created", "?userId=ann", "?userId=ann&type=deleted", "?namespace=shop", "",
	} {
		streams[query] = s.events(query)
	}
	now := s.clock.Now()
	appears := func(namespace, id, user string) {
		sec := schema.EmptySections()
		if user != "" {
			sec.User = &schema.User{ID: user, Roles: []string{}}
		}
		sess, err := new(schema.Rules).Build(schema.Session{
			Namespace: namespace, ID: id, CreatedAt: now, UpdatedAt: now, Revision: 1, TTL: time.Hour, ExpiresAt: now.Add(time.Hour),
		}, sec)
		require.NoError(t, err)
		require.NoError(t, s.store.Create(t.Context(), now, sess))
		require.NoError(t, s.store.Delete(t.Context(), now, sess.Key(), 0))
	}
	appears("shop", "session-of-the-shop", "ann")
	appears(schema.DefaultNamespace, "session-of-nobody", "")
	appears(schema.DefaultNamespace, "session-of-bob-12", "bob")
	appears(schema.DefaultNamespace, "session-of-ann-12", "ann")
	appears(schema.DefaultNamespace, "session-at-the-end", "ann")

	const all = "created session-of-nobody, deleted session-of-nobody, created session-of-bob-12, deleted session-of-bob-12, " +
		"created session-of-ann-12, deleted session-of-ann-12, created session-at-the-end, deleted session-at-the-end"
	for query, want := range map[string]string{
		"?type=deleted": "deleted session-of-nobody, deleted session-of-bob-12, deleted session-of-ann-12, deleted session-at-the-end",
		"?type=created&type=deleted&type=created": all,
		"?userId=ann":              "created session-of-ann-12, deleted session-of-ann-12, created session-at-the-end, deleted session-at-the-end",
		"?userId=ann&type=deleted": "deleted session-of-ann-12, deleted session-at-the-end",
		"?namespace=shop":          "created session-of-the-shop, deleted session-of-the-shop",
		"":                         all,
	} {
		var got []string
		for range strings.Count(want, ",") + 1 {
			e := streams[query].next().told(t)
			got = append(got, e.Type+" "+e.SessionID)
		}
		assert.Equal(t, want, strings.Join(got, ", "), query)
	}
}

func TestEvents_badRequests(t *testing.T) {
	s := start(t)
	for _, query := range []string{
		"?type=gone", "?type=", "?type=created,deleted", "?type=created&type=x", "?type=Created", "?type=reset",
		"?userId=", "?userId=a&userId=b", "?userId=%ff", "?userId=" + strings.Repeat("x", 257),
		"?namespace=", "?namespace=Shop", "?namespace=a&namespace=a", "?namespace=" + strings.Repeat("x", 33), "?type=created;x", "?%zz",
	} {
		s.client().do("GET", "/api/events"+query, "").problem(http.StatusBadRequest, "invalid_query")
	}
	guarded := start(t, func(set *settings) { set.Secrets.Service = services(serviceToken) })
	guarded.client().do("GET", "/api/events", "").problem(http.StatusUnauthorized, "unauthorized")
	guarded.events("", "Authorization", "Bearer "+serviceToken)
}

func TestEvents_resume(t *testing.T) {
	s := start(t)
	st := s.events("")
	first := s.client().create("")
	m := st.of("created")
	st.stop()
	missed := s.client().create("")
	late := s.client().create("")

	st = s.events("", "Last-Event-ID", m.id)
	assert.NotEqual(t, first.ID, missed.ID)
	assert.Equal(t, missed.ID, st.next().told(t).SessionID)
	m = st.next()
	assert.Equal(t, late.ID, m.told(t).SessionID)

	st = s.events("", "Last-Event-ID", m.id)
	fresh := s.client().create("")
	assert.Equal(t, fresh.ID, st.next().told(t).SessionID, "nothing was missed")

	st = s.events("?type=deleted", "Last-Event-ID", m.id)
	c := s.client()
	c.create("")
	c.do("DELETE", "/api/session", "").expect(http.StatusNoContent)
	st.of("deleted")
}

func TestEvents_reset(t *testing.T) {
	s := start(t)
	st := s.events("")
	s.client().create("")
	id := st.of("created").id
	for name, last := range map[string][]string{
		"of another process": {"Last-Event-ID", "1795280645123-42"},
		"of the future":      {"Last-Event-ID", id + "0000"},
		"no ID":              {"Last-Event-ID", "null"},
		"empty":              {"Last-Event-ID", ""},
		"a space":            {"Last-Event-ID", "a b"},
		"not ASCII":          {"Last-Event-ID", "é"},
		"too long":           {"Last-Event-ID", strings.Repeat("1", 4000)},
		"two":                {"Last-Event-ID", id, "Last-Event-ID", id},
	} {
		t.Run(name, func(t *testing.T) {
			st := s.events("?type=created", last...)
			assert.Equal(t, message{event: "reset", data: `{"type":"reset"}`}, st.next(), "and no id: whoever misses it gets it again")
			fresh := s.client().create("")
			assert.Equal(t, fresh.ID, st.of("created").told(t).SessionID)
		})
	}
}

// touchMany makes n events of a session.
func (s *service) touchMany(n int) {
	s.t.Helper()
	now := s.clock.Now()
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: "other", ID: schema.NewID(), CreatedAt: now, UpdatedAt: now, Revision: 1, TTL: 24 * time.Hour, ExpiresAt: now.Add(time.Hour),
	}, schema.EmptySections())
	require.NoError(s.t, err)
	require.NoError(s.t, s.store.Create(s.t.Context(), now, sess))
	for i := range n - 1 {
		_, err := s.store.Touch(s.t.Context(), now, sess.Key(), sess.ExpiresAt.Add(time.Duration(i+1)*time.Millisecond))
		require.NoError(s.t, err)
	}
}

// keeping is a service that keeps that many events.
func keeping(events int) func(*settings) {
	return func(set *settings) {
		set.store = memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000, Events: events})
	}
}

func TestEvents_idsGoOn(t *testing.T) {
	t.Run("with what is not wanted", func(t *testing.T) {
		s := start(t, keeping(1000))
		st := s.events("?type=deleted")
		s.touchMany(800)
		for range 3 {
			m := st.next()
			require.NotEmpty(t, m.id)
			assert.Equal(t, message{id: m.id}, m, "no event")
			again := s.events("?namespace=other", "Last-Event-ID", m.id)
			assert.Equal(t, "touched", again.next().event)
		}
	})
	t.Run("with the heartbeat", func(t *testing.T) {
		s := start(t, keeping(1000), func(set *settings) { set.Heartbeat = 10 * time.Millisecond })
		st := s.events("?type=deleted")
		assert.Equal(t, message{comment: ":"}, st.next(), "no place yet")
		s.touchMany(3)
		var m message
		for m = st.next(); m.id == ""; m = st.next() {
			require.Equal(t, message{comment: ":"}, m)
		}
		assert.Equal(t, message{comment: ":", id: m.id}, m)
		assert.Equal(t, message{comment: ":"}, st.next(), "only once")
		st.stop()
		s.touchMany(900)
		st = s.events("?namespace=other", "Last-Event-ID", m.id)
		assert.NotEqual(t, "reset", st.next().event)
	})
}

// Neither deadline of the server ends a stream that gets on.
func TestEvents_outliveTheServersTimeouts(t *testing.T) {
	s := start(t, func(set *settings) { set.Heartbeat = 20 * time.Millisecond })
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout, srv.Config.ReadHeaderTimeout = 60*time.Millisecond, 60*time.Millisecond, enough
	srv.Start()
	t.Cleanup(srv.Close)
	st := openStream(t, srv.URL+"/api/events")
	for range 20 { // 400 ms
		require.Equal(t, ":", st.next().comment)
	}
	made := s.client().create("")
	for {
		if m := st.next(); m.event != "" {
			assert.Equal(t, made.ID, m.told(t).SessionID)
			break
		}
	}
}

// A reader that is slow gets what was kept for it, and then is told.
func TestEvents_slowReader(t *testing.T) {
	s := start(t, keeping(100))
	st := s.events("?namespace=other")
	s.touchMany(60_000) // far more than a connection holds
	count := 0
	for {
		m, err := st.block()
		require.NoError(t, err)
		if m.event == "dropped" {
			assert.Equal(t, message{event: "dropped", data: `{"type":"dropped"}`}, m)
			break
		}
		count++
	}
	assert.Less(t, count, 60_000)
	_, err := st.r.ReadByte()
	assert.ErrorIs(t, err, io.EOF, "it is the last")
	s.until("a line in the log", func() bool { return strings.Contains(s.log.String(), `"msg":"event stream cut off"`) })
}

// until waits for what comes soon.
func (s *service) until(what string, ask func() bool) {
	s.t.Helper()
	require.Eventually(s.t, ask, enough, 5*time.Millisecond, what)
}

// streamLimiter is how many the metrics say are open.
func (s *service) streams() string {
	s.t.Helper()
	body := string(s.client().do("GET", "/metrics", "").expect(http.StatusOK).body)
	_, after, ok := strings.Cut(body, "\nsession_api_event_streams ")
	require.True(s.t, ok, body)
	count, _, _ := strings.Cut(after, "\n")
	return count
}

// A reader that does not read at all is cut off.
func TestEvents_stalledReader(t *testing.T) {
	s := start(t, keeping(1_000_000))
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.WriteTimeout = 100 * time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /api/events?namespace=other HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(enough)))
	_, err = bufio.NewReaderSize(conn, 16).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "1", s.streams())
	s.touchMany(60_000)
	s.until("the stream is cut off", func() bool { return s.streams() == "0" })
}

// following is a store whose events a test controls.
type following struct {
	backend.Store
	ping   error
	follow func(ctx context.Context, after string, yield func(backend.Event) error) error
}

func (f *following) Ping(context.Context) error { return f.ping }

func (f *following) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	return f.follow(ctx, after, yield)
}

func TestEvents_storeIsAway(t *testing.T) {
	away := fmt.Errorf("%w: no route", backend.ErrUnavailable)
	withStore := func(f *following) *service {
		return start(t, func(set *settings) { f.Store, set.store = set.store, f })
	}
	t.Run("unreachable", func(t *testing.T) {
		a := withStore(&following{ping: errors.New("connection refused")}).client().do("GET", "/api/events", "")
		a.problem(http.StatusServiceUnavailable, "store_unavailable")
		assert.NotEmpty(t, a.Header.Get("Retry-After"))
	})
	t.Run("at once", func(t *testing.T) {
		s := withStore(&following{follow: func(context.Context, string, func(backend.Event) error) error { return away }})
		s.client().do("GET", "/api/events", "").problem(http.StatusServiceUnavailable, "store_unavailable")
		s.client().do("GET", "/api/events", "", "Last-Event-ID", "1-1").problem(http.StatusServiceUnavailable, "store_unavailable")
	})
	t.Run("later", func(t *testing.T) {
		gone := make(chan struct{})
		s := withStore(&following{follow: func(_ context.Context, _ string, yield func(backend.Event) error) error {
			<-gone
			_ = yield(backend.Event{ID: "1-1", Type: backend.EventDeleted, Session: backend.Key{Namespace: "default", ID: "x"}})
			return away
		}})
		st := s.events("")
		close(gone)
		st.of("deleted")
		_, err := st.r.ReadByte()
		assert.ErrorIs(t, err, io.EOF)
		s.until("a line in the log", func() bool { return strings.Contains(s.log.String(), "no route") })
	})
}

func TestEvents_limit(t *testing.T) {
	s := start(t, func(set *settings) { set.MaxStreams = 2 })
	one, two := s.events(""), s.events("?type=deleted")
	assert.Equal(t, "2", s.streams())
	a := s.client().do("GET", "/api/events", "")
	a.problem(http.StatusServiceUnavailable, "too_many_streams")
	assert.NotEmpty(t, a.Header.Get("Retry-After"))

	one.stop()
	s.until("a place is free", func() bool { return s.streams() == "1" })
	three := s.events("")
	made := s.client().create("")
	assert.Equal(t, made.ID, three.of("created").told(t).SessionID)
	two.stop()
	three.stop()
	s.until("all are", func() bool { return s.streams() == "0" })
}

// A client that leaves ends its stream, and nothing goes on for it.
func TestEvents_clientLeaves(t *testing.T) {
	var followers atomic.Int64
	s := start(t, func(set *settings) {
		kept := set.store
		set.store = &following{Store: kept, follow: func(ctx context.Context, after string, yield func(backend.Event) error) error {
			followers.Add(1)
			defer followers.Add(-1)
			return kept.Follow(ctx, after, yield)
		}}
	})
	st := s.events("?userId=nobody-s-name")
	require.EqualValues(t, 1, followers.Load())
	assert.NotContains(t, s.log.String(), "/api/events")
	st.stop()
	s.until("a line in the log", func() bool { return strings.Contains(s.log.String(), "/api/events") })
	assert.Zero(t, followers.Load())
	assert.Contains(t, s.log.String(), `"http.response.status_code":200`)
	assert.NotContains(t, s.log.String(), "nobody-s-name")
	assert.NotContains(t, s.log.String(), "event stream cut off")
}

func TestEvents_drain(t *testing.T) {
	s := start(t)
	one, two := s.events(""), s.events("?type=deleted")
	s.api.Drain()
	for _, st := range []*stream{one, two} {
		_, err := st.r.ReadByte()
		assert.ErrorIs(t, err, io.EOF, "an end, not a failure")
	}
	// What comes meanwhile is sent away in a way that makes it come again.
	again := s.client().do("GET", "/api/events", "").expect(http.StatusOK)
	assert.Equal(t, "retry: 2000\n\n", string(again.body))
	s.api.Drain()
}

// FuzzEvents reads any query and any Last-Event-ID.
func FuzzEvents(f *testing.F) {
	f.Add("type=created&type=deleted", "abcdefghij-1")
	f.Add("userId=%C3%A9&namespace=shop", "1795280645123-42")
	f.Add("type=&userId=&namespace=", "")
	f.Add("a;b", "a b\x00\n")
	f.Add("%zz", strings.Repeat("1", 200))
	f.Fuzz(func(t *testing.T, query, last string) {
		s := start(t)
		s.api.Drain() // streams end as soon as they have begun
		r := httptest.NewRequest(http.MethodGet, "http://localhost/api/events", http.NoBody)
		r.URL.RawQuery = query
		r.Header["Last-Event-Id"] = []string{last}
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			body := w.Body.String()
			require.Contains(t, []string{"retry: 2000\n\n", "retry: 2000\n\nevent: reset\ndata: {\"type\":\"reset\"}\n\n"}, body)
		case http.StatusBadRequest:
			require.Contains(t, w.Body.String(), `"code":"invalid_query"`)
		default:
			require.Fail(t, "another status", "%d %s", w.Code, w.Body)
		}
		if len(last) > 128 {
			require.NotContains(t, w.Body.String(), last)
		}
	})
}
