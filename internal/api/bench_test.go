package api_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/memory"
)

// benchSession makes a document of 1 KB.
var benchSession = `{"inputs":{"step":100000000,"text":"` + strings.Repeat("as long as it takes ", 30) + `"},` +
	`"apiConfig":{"model":"m-large","temperature":0.2},"results":{"score":0.87},"meta":{"page":"/results"}}`

// discard is a ResponseWriter that keeps the headers and the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// resent is a request body that can be read again and again.
type resent struct{ bytes.Reader }

func (*resent) Close() error { return nil }

// load sends one request after the other to the handler, without a network.
type load struct {
	handler http.Handler
	request *http.Request
	content []byte
	cookie  string // of the session that requests are about, if any
	agent   string // the User-Agent of requests, if any
	body    resent
	w       discard
}

func newLoad(b testing.TB, log api.AccessLog, change ...func(*api.Options)) *load {
	b.Helper()
	rules := &schema.Rules{MaxBytes: 1 << 20, MaxTTL: 30 * 24 * time.Hour, Sanitize: schema.SanitizeControls}
	kept := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000})
	b.Cleanup(func() { _ = kept.Close() })
	o := options(store.NewSessions(kept, rules, store.Lifetimes{TTL: 24 * time.Hour, MaxTTL: rules.MaxTTL, TouchInterval: time.Minute}, store.UserLimit{}), rules)
	o.AccessLog, o.Logger = log, slog.New(slog.NewJSONHandler(&discard{}, nil))
	o.AccessLog.Lines = &discard{}
	o.Client = api.ClientRecord{Agent: true}
	for _, c := range change {
		c(&o)
	}
	handler, err := api.New(o)
	require.NoError(b, err)
	l := &load{handler: handler, w: discard{header: http.Header{}}}
	if log.Every == 0 { // in a line it takes an allocation of its own
		l.agent = firefox
	}
	return l
}

// prepare makes the request that is sent from now on.
func (l *load) prepare(b testing.TB, method, contentType, body string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, "http://127.0.0.1:8080/api/session", http.NoBody)
	require.NoError(b, err)
	r.RemoteAddr, r.RequestURI = "127.0.0.1:40000", "/api/session"
	if l.agent != "" {
		r.Header.Set("User-Agent", l.agent)
	}
	if l.cookie != "" {
		r.Header.Set("Cookie", l.cookie)
	}
	if body != "" {
		r.Header["Content-Type"] = []string{contentType}
		r.Body, r.ContentLength = &l.body, int64(len(body))
	}
	l.request, l.content = r, []byte(body)
}

// send sends the request and returns the status.
func (l *load) send() int {
	clear(l.w.header)
	l.body.Reset(l.content)
	l.handler.ServeHTTP(&l.w, l.request)
	return l.w.status
}

// signIn makes a session, whose cookie the next requests carry.
func (l *load) signIn(b testing.TB) {
	b.Helper()
	l.prepare(b, http.MethodPost, "application/json", benchSession)
	require.Equal(b, http.StatusCreated, l.send())
	l.keepCookie()
}

// keepCookie makes the cookie of the last answer that of the next requests.
func (l *load) keepCookie() {
	l.cookie, _, _ = strings.Cut(l.w.header.Get("Set-Cookie"), ";")
	l.request.Header.Set("Cookie", l.cookie)
}

// step writes another number into the body, of as many digits.
func (l *load) step(at, n int) {
	strconv.AppendInt(l.content[:at], int64(100_000_000+n%800_000_000), 10)
}

func benchLogs(b *testing.B, run func(b *testing.B, log api.AccessLog)) {
	b.Helper()
	for name, log := range map[string]api.AccessLog{"errors": {}, "all": {Every: 1}} {
		b.Run("log="+name, func(b *testing.B) { run(b, log) })
	}
}

// BenchmarkGet reads one session by its cookie.
func BenchmarkGet(b *testing.B) {
	benchLogs(b, func(b *testing.B, log api.AccessLog) {
		l := newLoad(b, log)
		l.signIn(b)
		l.prepare(b, http.MethodGet, "", "")
		b.ReportAllocs()
		for b.Loop() {
			if status := l.send(); status != http.StatusOK {
				b.Fatal(status)
			}
		}
	})
}

// BenchmarkPatch changes one key of a session.
func BenchmarkPatch(b *testing.B) {
	benchLogs(b, func(b *testing.B, log api.AccessLog) {
		l := newLoad(b, log)
		l.signIn(b)
		const before = `{"inputs":{"step":`
		l.prepare(b, http.MethodPatch, "application/merge-patch+json", before+`100000000}}`)
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			l.step(len(before), n)
			if status := l.send(); status != http.StatusOK {
				b.Fatal(status)
			}
		}
	})
}

// BenchmarkPost makes sessions; each evicts another from a store that is full.
func BenchmarkPost(b *testing.B) {
	benchLogs(b, func(b *testing.B, log api.AccessLog) {
		l := newLoad(b, log)
		l.prepare(b, http.MethodPost, "application/json", benchSession)
		b.ReportAllocs()
		for b.Loop() {
			if status := l.send(); status != http.StatusCreated {
				b.Fatal(status)
			}
		}
	})
}
