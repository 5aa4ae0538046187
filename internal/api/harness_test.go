package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/jwt"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
	"session-api/internal/token"
)

const (
	secret       = "test-secret-that-is-32-bytes-long!"
	serviceToken = "test-service-token-that-is-32-bytes"
	cookieName   = "validator_session_id"
	issuer       = "https://sessions.example.com"
)

// clock is a clock that only moves when a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer collects log lines from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// noCleanup is a cleaner of a service that has no directory to clean.
type noCleanup struct{}

func (noCleanup) Run(_ context.Context, dryRun bool) (cleanup.Report, error) {
	return cleanup.Report{DryRun: dryRun, StartedAt: time.UnixMilli(0).UTC(), Directory: "/nowhere", Entries: []cleanup.Entry{}}, nil
}
func (noCleanup) Last() (cleanup.Report, bool) { return cleanup.Report{}, false }
func (noCleanup) Totals() cleanup.Totals       { return cleanup.Totals{} }
func (noCleanup) Status() cleanup.Status       { return cleanup.Ready }

// service is a running server and what a test looks at from the outside.
type service struct {
	t     *testing.T
	url   string
	clock *clock
	log   *logBuffer
	api   *api.Server
	store backend.Store
}

// settings are what a test changes before the service starts.
type settings struct {
	api.Options
	life  store.Lifetimes
	limit store.UserLimit
	rules *schema.Rules
	store backend.Store
	log   *logBuffer
}

// services returns service tokens that allow everything, named as the settings name them.
func services(secrets ...string) (tokens []token.Service) {
	for i, one := range secrets {
		tokens = append(tokens, token.FullService(fmt.Sprintf("default-%d", i+1), one))
	}
	return tokens
}

// options are those of a service with nothing configured but the secret.
func options(sessions *store.Sessions, rules *schema.Rules) api.Options {
	return api.Options{
		Sessions: sessions, Rules: rules, Cleaner: noCleanup{}, Contract: contract.OpenAPI, Readme: contract.Readme, Version: "test",
		Logger:  slog.New(slog.DiscardHandler),
		Secrets: api.Secrets{Session: [][]byte{[]byte(secret)}},
		JWT: api.JWT{Options: jwt.Options{
			Issuer: issuer, Algorithm: jwt.ES256, TTL: 5 * time.Minute, Rotate: 30 * 24 * time.Hour,
		}},
		Cookie:        api.Cookie{Name: cookieName, SameSite: http.SameSiteLaxMode},
		TouchOnAccess: true, MaxGrace: time.Minute, IdempotencyTTL: 24 * time.Hour, AccessLog: api.AccessLog{Every: 1},
	}
}

// start runs a service for the length of the test.
func start(t *testing.T, change ...func(*settings)) *service {
	t.Helper()
	s := &service{t: t, clock: &clock{now: time.Date(2026, 11, 21, 17, 4, 5, 123e6, time.UTC)}, log: &logBuffer{}}
	set := settings{
		Options: options(nil, nil),
		life:    store.Lifetimes{TTL: 24 * time.Hour, MaxTTL: 30 * 24 * time.Hour, TouchInterval: time.Minute},
		rules:   &schema.Rules{MaxBytes: 1 << 20, MaxTTL: 30 * 24 * time.Hour, Sanitize: schema.SanitizeControls},
		store:   memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000, Tombstone: 5 * time.Minute}),
	}
	set.log = s.log
	set.Now, set.Logger = s.clock.Now, slog.New(slog.NewJSONHandler(s.log, nil))
	for _, c := range change {
		c(&set)
	}
	set.Rules = set.rules
	set.Sessions = store.NewSessions(set.store, set.rules, set.life, set.limit)
	s.store = set.store
	t.Cleanup(func() { _ = set.store.Close() })

	var err error
	s.api, err = api.New(set.Options)
	require.NoError(t, err)
	srv := httptest.NewServer(s.api)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// client is one visitor: a browser with its cookies.
type client struct {
	s    *service
	http *http.Client
}

func (s *service) client() *client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	return &client{s: s, http: &http.Client{
		Jar:           jar,
		Transport:     &contractTransport{t: s.t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is a response, read to its end.
type answer struct {
	t *testing.T
	*http.Response
	body []byte
}

// do sends a request. headers are name, value, name, value; a body gets
// Content-Type that its method takes unless they say otherwise; "" for none.
func (c *client) do(method, path, body string, headers ...string) *answer {
	c.s.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.s.t.Context(), method, c.s.url+path, r)
	require.NoError(c.s.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			req.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	if slices.Contains(headers, "Content-Type") {
		req.Header.Del("Content-Type")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] != "Content-Type" || headers[i+1] != "" {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	resp, err := c.http.Do(req)
	require.NoError(c.s.t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.s.t, resp.Body.Close())
	require.NoError(c.s.t, err)
	return &answer{t: c.s.t, Response: resp, body: b}
}

// token is the session cookie that the client holds, or empty.
func (c *client) token() string {
	c.s.t.Helper()
	u, err := url.Parse(c.s.url)
	require.NoError(c.s.t, err)
	for _, ck := range c.http.Jar.Cookies(u) {
		if ck.Name == cookieName {
			return ck.Value
		}
	}
	return ""
}

// create makes a session and returns its document.
func (c *client) create(body string) document {
	c.s.t.Helper()
	return c.do("POST", "/api/session", body).expect(http.StatusCreated).document()
}

// expect requires the status.
func (a *answer) expect(status int) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.StatusCode, "%s %s: %s", a.Request.Method, a.Request.URL.Path, a.body)
	return a
}

// problem requires the status and the code of an error.
func (a *answer) problem(status int, code string) problem {
	a.t.Helper()
	a.expect(status)
	require.Equal(a.t, "application/problem+json", a.Header.Get("Content-Type"))
	var p problem
	require.NoError(a.t, json.Unmarshal(a.body, &p))
	require.Equal(a.t, code, p.Code, "%s", a.body)
	require.Equal(a.t, status, p.Status)
	require.Equal(a.t, a.Header.Get("X-Request-Id"), p.RequestID)
	return p
}

func (a *answer) document() document {
	a.t.Helper()
	var d document
	require.NoError(a.t, json.Unmarshal(a.body, &d), "%s", a.body)
	return d
}

func (a *answer) json() map[string]any {
	a.t.Helper()
	var m map[string]any
	require.NoError(a.t, json.Unmarshal(a.body, &m), "%s", a.body)
	return m
}

type problem struct {
	Type, Title, Detail, Code, RequestID string
	Status                               int
	Errors                               []struct{ Pointer, Detail string }
}

type document struct {
	ID                              string
	CreatedAt, UpdatedAt, ExpiresAt time.Time
	Version, Revision               int
	User                            *schema.User
	Inputs, APIConfig               json.RawMessage
	Results, Meta                   json.RawMessage
	Token                           string
}
