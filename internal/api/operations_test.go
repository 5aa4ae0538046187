package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// faultyStore is a memory store that fails on demand.
type faultyStore struct {
	*memory.Store
	err atomic.Pointer[error]
}

func (f *faultyStore) fail(err error) { f.err.Store(&err) }

func (f *faultyStore) failure() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *faultyStore) Create(ctx context.Context, now time.Time, s schema.Session, opts ...backend.CreateOption) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.Store.Create(ctx, now, s, opts...)
}

func (f *faultyStore) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if err := f.failure(); err != nil {
		return schema.Session{}, err
	}
	return f.Store.Get(ctx, now, key)
}

func (f *faultyStore) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if err := f.failure(); err != nil {
		return schema.Session{}, err
	}
	return f.Store.Peek(ctx, now, key)
}

func (f *faultyStore) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	if err := f.failure(); err != nil {
		return backend.Stats{}, err
	}
	return f.Store.Stats(ctx, now)
}

func (f *faultyStore) Ping(ctx context.Context) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.Store.Ping(ctx)
}

func newFaulty() *faultyStore {
	return &faultyStore{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 100})}
}

func TestAStoreThatIsDownIsNotASignedOutUser(t *testing.T) {
	faulty := newFaulty()
	s := start(t, func(s *settings) { s.store = faulty })
	c := s.client()
	c.create("")
	c.do("GET", "/readyz", "").expect(200)

	faulty.fail(fmt.Errorf("%w: dialling 10.1.2.3:6379: secret detail", backend.ErrUnavailable))
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/api/session", ""},
		{"PUT", "/api/session", `{}`},
		{"PATCH", "/api/session", `{}`},
		{"DELETE", "/api/session", ""},
		{"POST", "/api/session", ""},
		{"POST", "/api/session/operations", `[]`},
		{"POST", "/api/session/touch", ""},
		{"POST", "/api/session/regenerate", ""},
		{"GET", "/stats", ""},
		{"GET", "/readyz", ""},
	} {
		a := c.do(r.method, r.path, r.body)
		a.problem(503, "store_unavailable")
		assert.Equal(t, "1", a.Header.Get("Retry-After"))
		assert.NotContains(t, string(a.body), "10.1.2.3", "a 5xx shows nothing of the inside")
		assert.Empty(t, a.Header["Set-Cookie"])
	}
	c.do("HEAD", "/api/session", "").expect(503)
	c.do("GET", "/healthz", "").expect(200)
	assert.NotContains(t, string(c.do("GET", "/metrics", "").expect(200).body), "session_api_sessions{")
	assert.Contains(t, s.log.String(), "10.1.2.3", "the log tells what happened")

	faulty.fail(errors.New("something odd"))
	a := c.do("GET", "/api/session", "")
	a.problem(500, "internal")
	assert.NotContains(t, string(a.body), "odd")
	faulty.fail(nil)
	c.do("GET", "/api/session", "").expect(200)
}

func TestAFullStoreAnswers503(t *testing.T) {
	s := start(t, func(s *settings) { s.store = memory.New(memory.Options{Policy: memory.None, MaxEntries: 1}) })
	c := s.client()
	c.create("")
	a := s.client().do("POST", "/api/session", "")
	a.problem(503, "store_full")
	assert.Equal(t, "1", a.Header.Get("Retry-After"))
	c.do("GET", "/api/session", "").expect(200)
}

type panickingStore struct{ *memory.Store }

func (panickingStore) Peek(context.Context, time.Time, backend.Key) (schema.Session, error) {
	panic("the store has a bug")
}

func TestAPanicIsAProblem(t *testing.T) {
	s := start(t, func(s *settings) { s.store = panickingStore{newFaulty().Store} })
	c := s.client()
	c.create("")
	a := c.do("PUT", "/api/session", `{}`)
	p := a.problem(500, "internal")
	assert.NotContains(t, string(a.body), "bug")
	assert.Contains(t, s.log.String(), "the store has a bug")
	assert.Contains(t, s.log.String(), p.RequestID)
	assert.Contains(t, s.log.String(), "panickingStore", "with its stack")
}

func TestStats(t *testing.T) {
	s := start(t)
	c := s.client()
	before := c.do("GET", "/stats", "").expect(200).json()
	assert.EqualValues(t, "memory", before["store"])
	assert.EqualValues(t, "instance", before["scope"])
	assert.EqualValues(t, 0, before["entryCount"])
	assert.EqualValues(t, 0, before["hitRate"])
	c.create("")
	c.do("GET", "/api/session", "").expect(200)
	s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+sign(schema.NewID(), secret)).expect(401)
	s.clock.advance(1500 * time.Millisecond)
	after := c.do("GET", "/api/session/stats", "").expect(200).json()
	for name, want := range map[string]float64{"entryCount": 1, "hits": 1, "misses": 1, "sets": 1, "hitRate": 0.5, "maxEntries": 1000, "uptimeMs": 1500} {
		assert.InDelta(t, want, after[name], 0, name)
	}
	assert.Positive(t, after["bytes"])
	assert.Nil(t, after["cleanup"].(map[string]any)["lastRunAt"])
}

// sharedStore is a store that several instances share.
type sharedStore struct{ backend.Store }

func (sharedStore) Lock(context.Context, string, time.Duration) (unlock func(), held bool, err error) {
	return func() {}, true, nil
}

// Where instances share a store, its figures say that they are not of this
// one alone.
func TestStatsOfASharedStore(t *testing.T) {
	s := start(t, func(s *settings) { s.store = sharedStore{s.store} })
	assert.EqualValues(t, "cluster", s.client().do("GET", "/stats", "").expect(200).json()["scope"])
}

// oneCleanup is a cleaner that remembers how it was called.
type oneCleanup struct {
	dry    []bool
	err    error
	status cleanup.Status
}

func (o *oneCleanup) report(dry bool) cleanup.Report {
	at := time.UnixMilli(1e12).UTC()
	return cleanup.Report{
		StartedAt: at, DryRun: dry, Directory: "/data", Scanned: 3, Kept: 2, Deleted: 1, BytesFreed: 7,
		Entries: []cleanup.Entry{{Path: "a.txt", Action: cleanup.ActionDeleted, Reason: cleanup.ReasonUnreferenced, Bytes: 7, ModifiedAt: &at}},
	}
}

func (o *oneCleanup) Run(_ context.Context, dry bool) (cleanup.Report, error) {
	if o.err != nil {
		return cleanup.Report{}, o.err
	}
	o.dry = append(o.dry, dry)
	return o.report(dry), nil
}
func (o *oneCleanup) Last() (cleanup.Report, bool) { return o.report(false), len(o.dry) > 0 }
func (o *oneCleanup) Status() cleanup.Status       { return o.status }
func (o *oneCleanup) Totals() cleanup.Totals {
	return cleanup.Totals{Runs: int64(len(o.dry)), Scanned: 3, Deleted: 1, BytesFreed: 7}
}

func TestCleanupRoute(t *testing.T) {
	cleaner := &oneCleanup{status: cleanup.Ready}
	s := start(t, func(s *settings) { s.Cleaner = cleaner })
	c := s.client()
	assert.Equal(t, true, c.do("POST", "/api/cleanup?dryRun=true", "").expect(200).json()["dryRun"])
	report := c.do("POST", "/api/cleanup", "").expect(200).json()
	assert.EqualValues(t, 1, report["deleted"])
	assert.Equal(t, []bool{true, false}, cleaner.dry)
	stats := c.do("GET", "/stats", "").expect(200).json()["cleanup"].(map[string]any)
	assert.Equal(t, "2001-09-09T01:46:40.000Z", stats["lastRunAt"])
	assert.Contains(t, string(c.do("GET", "/metrics", "").body), "session_api_cleanup_freed_bytes_total 7")
}

// What keeps files from being cleaned is said, and not taken for a run.
func TestCleanupThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status cleanup.Status
		answer int
		code   string
	}{
		{cleanup.ErrOtherStore, cleanup.OtherStore, 409, "cleanup_other_store"},
		{cleanup.ErrDirectory, cleanup.Unavailable, 503, "cleanup_unavailable"},
	} {
		cleaner := &oneCleanup{err: fmt.Errorf("%w: /secret/place", tt.err), status: tt.status}
		s := start(t, func(s *settings) { s.Cleaner = cleaner })
		for _, query := range []string{"", "?dryRun=true"} {
			reply := s.client().do("POST", "/api/cleanup"+query, "")
			reply.problem(tt.answer, tt.code)
			assert.NotContains(t, string(reply.body), "secret")
		}
		stats := s.client().do("GET", "/stats", "").expect(200).json()["cleanup"].(map[string]any)
		assert.Equal(t, string(tt.status), stats["status"])
	}
}

func TestCleanupWhileAnotherInstanceCleans(t *testing.T) {
	cleaner := &oneCleanup{err: fmt.Errorf("waiting: %w", cleanup.ErrBusy)}
	s := start(t, func(s *settings) { s.Cleaner = cleaner })
	s.client().do("POST", "/api/cleanup", "").problem(409, "cleanup_running")
	cleaner.err = fmt.Errorf("%w: dial 10.1.2.3", backend.ErrUnavailable)
	s.client().do("POST", "/api/cleanup", "").problem(503, "store_unavailable")
}

func TestCleanupNeedsAServiceToken(t *testing.T) {
	cleaner := &oneCleanup{status: cleanup.Ready}
	s := start(t, func(s *settings) { withServiceTokens(s); s.Cleaner = cleaner })
	c := s.client()
	d := c.do("POST", "/api/session", "").expect(201).document()
	for _, headers := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic " + serviceToken}, {"Authorization", "Bearer " + sign(d.ID, secret)}, {"Authorization", serviceToken}} {
		c.do("POST", "/api/cleanup", "", headers...).problem(401, "unauthorized")
	}
	assert.Empty(t, cleaner.dry)
	c.do("POST", "/api/cleanup", "", "Authorization", "Bearer "+serviceToken).expect(200)
}

func TestHealthReadinessAndContract(t *testing.T) {
	s := start(t)
	c := s.client()
	assert.Equal(t, "ok", c.do("GET", "/healthz", "").expect(200).json()["status"])
	assert.Equal(t, "ready", c.do("GET", "/readyz", "").expect(200).json()["status"])
	assert.Equal(t, string(contract.OpenAPI), string(c.do("GET", "/openapi.yaml", "").expect(200).body))
	s.api.Drain()
	c.do("GET", "/readyz", "").problem(503, "not_ready")
	c.do("GET", "/healthz", "").expect(200)
	c.do("POST", "/api/session", "").expect(201) // requests on their way still get their answer
}

func TestMetrics(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	c.do("GET", "/api/session", "").expect(200)
	c.do("GET", "/some/random/path-"+schema.NewID(), "").expect(404)
	c.do("BREW", "/api/session", "").expect(405)
	got := string(c.do("GET", "/metrics", "").expect(200).body)
	for _, line := range []string{
		`session_api_http_requests_total{method="GET",route="/api/session",status="200"} 1`,
		`session_api_http_requests_total{method="POST",route="/api/session",status="201"} 1`,
		`session_api_http_requests_total{method="GET",route="none",status="404"} 1`,
		`session_api_http_requests_total{method="other",route="none",status="405"} 1`,
		`session_api_http_request_duration_seconds_count{method="GET",route="/api/session"} 1`,
		`session_api_sessions{store="memory"} 1`,
		`session_api_store_hits_total{store="memory"} 1`,
		`session_api_build_info{version="test"} 1`,
		"go_goroutines ",
	} {
		assert.Contains(t, got, line)
	}
	assert.NotContains(t, got, "random")
}

func TestNothingSecretIsLogged(t *testing.T) {
	for _, concise := range []bool{false, true} {
		s := start(t, func(s *settings) { withServiceTokens(s); s.AccessLog.Concise = concise })
		c := s.client()
		d := c.do("POST", "/api/session", `{"inputs":{"pin":"user-typed-secret"}}`).expect(201).document()
		token := sign(d.ID, secret)
		encoded := strings.ReplaceAll(token, ":", "%3A")
		c.do("GET", "/api/session?token="+encoded+"&key=query-secret", "", "Referer", "https://app.example.com/?t="+token, "User-Agent", "agent "+token)
		c.do("GET", "/"+encoded, "")
		c.do("GET", "/api/session/"+d.ID, "", "Referer", "https://app.example.com/"+token, "Origin", "https://"+d.ID)
		c.do("GET", "/api/session", "", "Authorization", "Bearer "+serviceToken)
		c.do("POST", "/api/cleanup", "", "Authorization", "Bearer "+serviceToken)
		c.do("GET", "/api/session", "", "Authorization", "Bearer forged-service-token")
		c.do("POST", "/api/session/regenerate", "").expect(200)
		log := s.log.String()
		require.Contains(t, log, "/api/session")
		for _, hidden := range []string{d.ID, token, encoded, secret, serviceToken, "forged-service-token", "query-secret", "user-typed-secret", strings.SplitN(token, ".", 2)[1]} {
			assert.NotContains(t, log, hidden)
		}
		assert.Regexp(t, `"session":"[0-9a-f]{12}"`, log, "the lines of a session can be found by a short hash")
	}
}

func TestAccessLogModes(t *testing.T) {
	lines := func(every int) (ok, failed int) {
		s := start(t, func(s *settings) { s.AccessLog.Every = every })
		for range 10 {
			s.client().do("GET", "/healthz", "").expect(200)
			s.client().do("GET", "/api/session", "").expect(401)
		}
		for line := range strings.Lines(s.log.String()) {
			var rec map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &rec))
			if status, _ := rec["http.response.status_code"].(float64); status == http.StatusOK {
				ok++
			} else if status != 0 {
				failed++
			}
			assert.NotEmpty(t, rec["requestId"])
		}
		return ok, failed
	}
	for every, want := range map[int]int{0: 0, 1: 10, 5: 2} {
		ok, failed := lines(every)
		assert.Equal(t, want, ok, "one in %d", every)
		assert.Equal(t, 10, failed, "failures always")
	}
}

func TestNewRefusesWhatItCannotServe(t *testing.T) {
	rules := &schema.Rules{MaxBytes: 1 << 20}
	sessions := store.NewSessions(newFaulty(), rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{})
	for name, change := range map[string]func(*api.Options){
		"no sessions":       func(o *api.Options) { o.Sessions = nil },
		"no logger":         func(o *api.Options) { o.Logger = nil },
		"no secret":         func(o *api.Options) { o.Secrets.Session = nil },
		"bad proxy":         func(o *api.Options) { o.TrustedProxies = []netip.Prefix{{}} },
		"proxy of nobody":   func(o *api.Options) { o.TrustedProxies = prefixes("::ffff:10.0.0.0/80") },
		"client IP header":  func(o *api.Options) { o.ClientIPHeader = "x-real-ip" },
		"all headers":       func(o *api.Options) { o.AllowedHeaders = []string{"*"} },
		"header of no name": func(o *api.Options) { o.AllowedHeaders = []string{"a b"} },
		"bad origin":        func(o *api.Options) { o.AllowedOrigins = []string{"https://app.example.com/path"} },
	} {
		o := options(sessions, rules)
		change(&o)
		_, err := api.New(o)
		assert.Error(t, err, name)
	}
}

// leavingStore ends the request's context as if its client had hung up.
type leavingStore struct {
	*memory.Store
	leave context.CancelFunc
}

func (l *leavingStore) Get(ctx context.Context, _ time.Time, _ backend.Key) (schema.Session, error) {
	l.leave()
	<-ctx.Done()
	return schema.Session{}, fmt.Errorf("%w: %w", backend.ErrUnavailable, ctx.Err())
}

func TestAClientThatLeavesIsNoFailure(t *testing.T) {
	leaving := &leavingStore{Store: newFaulty().Store}
	s := start(t, func(s *settings) { s.store = leaving })
	token := sign(s.client().create("").ID, secret)
	ctx, leave := context.WithCancel(t.Context())
	leaving.leave = leave
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/session", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	s.api.ServeHTTP(httptest.NewRecorder(), r)
	assert.Contains(t, string(s.client().do("GET", "/metrics", "").body),
		`session_api_http_requests_total{method="GET",route="/api/session",status="499"} 1`)
	assert.NotContains(t, s.log.String(), "request failed")
}
