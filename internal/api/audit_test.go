package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/audit"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
	"session-api/internal/token"
)

// auditLog is an audit log in memory.
type auditLog struct {
	mu       sync.Mutex
	entries  []audit.Entry
	unready  error
	failing  error
	appended chan struct{} // closed with each entry, and made anew
}

func newAuditLog() *auditLog { return &auditLog{appended: make(chan struct{})} }

func (l *auditLog) Append(e audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	l.entries = append(l.entries, e)
	close(l.appended)
	l.appended = make(chan struct{})
	return nil
}

func (l *auditLog) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unready
}

func (l *auditLog) Failures() int64  { return 3 }
func (l *auditLog) Losses() int64    { return 2 }
func (l *auditLog) Sequence() uint64 { return 7 }

func (l *auditLog) set(change func(*auditLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// take returns the entries since the last call.
func (l *auditLog) take() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.entries
	l.entries = nil
	return taken
}

// wait returns the entries once there are so many.
func (l *auditLog) wait(t *testing.T, n int) []audit.Entry {
	t.Helper()
	for late := time.After(time.Minute); ; {
		l.mu.Lock()
		got, appended := len(l.entries), l.appended
		l.mu.Unlock()
		if got >= n {
			return l.take()
		}
		select {
		case <-appended:
		case <-late:
			require.FailNow(t, "too few entries", "%d of %d: %v", got, n, l.take())
		}
	}
}

// acts are the acts of entries.
func acts(entries []audit.Entry) (all []audit.Act) {
	for _, e := range entries {
		all = append(all, e.Act)
	}
	return all
}

// audited starts a service with an audit log.
func audited(t *testing.T, change ...func(*settings)) (*service, *auditLog) {
	t.Helper()
	log := newAuditLog()
	s := start(t, append([]func(*settings){with(reader, writer, admin), func(s *settings) { s.Audit = log }}, change...)...)
	return s, log
}

const fromFirefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

// Every route that changes something either has entries in the audit log, or is listed
// with the reason why it has none.
func TestAudit_everyRoute(t *testing.T) {
	t.Parallel()
	s, log := audited(t)
	asAdmin := bearerOf("admin")
	named := func() string {
		id := s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, asAdmin...).expect(http.StatusCreated).json()["session"].(map[string]any)["id"].(string)
		log.take()
		return "/api/sessions/" + id
	}
	own := func() *client {
		c := s.client()
		c.do("POST", "/api/session", `{"user":{"id":"ann"}}`, asAdmin...).expect(http.StatusCreated)
		log.take()
		return c
	}
	ids := func() string {
		_, id, _ := strings.Cut(named(), "/api/sessions/")
		return `{"ids":["` + id + `"]}`
	}
	patchTypes := append(slices.Clone(asAdmin), "Content-Type", "application/json-patch+json")
	lines := append(slices.Clone(asAdmin), "Content-Type", "application/x-ndjson")
	record := func() string {
		named()
		text := string(s.client().do("GET", "/api/export", "", asAdmin...).expect(http.StatusOK).body)
		log.take()
		return text
	}
	type example struct {
		send func() *answer
		acts []audit.Act
	}
	examples := map[string]example{
		"POST /api/session": {
			func() *answer { return s.client().do("POST", "/api/session", `{"user":{"id":"ann"}}`, asAdmin...) },
			[]audit.Act{audit.SessionCreated},
		},
		"PUT /api/session": {
			func() *answer { return own().do("PUT", "/api/session", `{"user":{"id":"bob"}}`, asAdmin...) },
			[]audit.Act{audit.SessionUserChanged},
		},
		"PATCH /api/session": {
			func() *answer { return own().do("PATCH", "/api/session", `{"user":{"roles":["admin"]}}`, asAdmin...) },
			[]audit.Act{audit.SessionUserChanged},
		},
		"POST /api/session/operations": {func() *answer {
			return own().do("POST", "/api/session/operations", `[{"op":"replace","path":"/user/email","value":"ann@example.com"}]`, patchTypes...)
		}, []audit.Act{audit.SessionUserChanged}},
		"DELETE /api/session":          {func() *answer { return own().do("DELETE", "/api/session", "") }, []audit.Act{audit.SessionEnded}},
		"POST /api/session/regenerate": {func() *answer { return own().do("POST", "/api/session/regenerate", "") }, []audit.Act{audit.SessionRegenerated}},
		"DELETE /api/user/sessions":    {func() *answer { return own().do("DELETE", "/api/user/sessions", "") }, []audit.Act{audit.SessionsEnded, audit.SessionEnded}},
		"DELETE /api/user/sessions/{id}": {func() *answer {
			c := own()
			return c.do("DELETE", "/api/user/sessions/"+c.do("GET", "/api/session", "").document().ID, "")
		}, []audit.Act{audit.SessionEnded}},

		"POST /api/sessions":        {func() *answer { return s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, asAdmin...) }, []audit.Act{audit.SessionCreated}},
		"DELETE /api/sessions":      {func() *answer { return s.client().do("DELETE", "/api/sessions?userId=nobody", "", asAdmin...) }, []audit.Act{audit.SessionsEnded}},
		"POST /api/sessions/end":    {func() *answer { return s.client().do("POST", "/api/sessions/end", ids(), asAdmin...) }, []audit.Act{audit.SessionsEnded}},
		"PUT /api/sessions/{id}":    {func() *answer { return s.client().do("PUT", named(), `{"user":null}`, asAdmin...) }, []audit.Act{audit.SessionUserChanged}},
		"PATCH /api/sessions/{id}":  {func() *answer { return s.client().do("PATCH", named(), `{"user":{"id":"bob"}}`, asAdmin...) }, []audit.Act{audit.SessionUserChanged}},
		"DELETE /api/sessions/{id}": {func() *answer { return s.client().do("DELETE", named(), "", asAdmin...) }, []audit.Act{audit.SessionEnded}},
		"POST /api/sessions/{id}/regenerate": {func() *answer {
			return s.client().do("POST", named()+"/regenerate", `{"user":{"id":"bob"}}`, asAdmin...)
		}, []audit.Act{audit.SessionSignedIn}},
		"GET /api/export":   {func() *answer { return s.client().do("GET", "/api/export", "", asAdmin...) }, []audit.Act{audit.Export, audit.Export}},
		"GET /api/backup":   {func() *answer { return s.client().do("GET", "/api/backup", "", asAdmin...) }, []audit.Act{audit.Backup, audit.Backup}},
		"POST /api/import":  {func() *answer { return s.client().do("POST", "/api/import", record(), lines...) }, []audit.Act{audit.Import, audit.Import}},
		"POST /api/cleanup": {func() *answer { return s.client().do("POST", "/api/cleanup", "", asAdmin...) }, []audit.Act{audit.Cleanup}},
	}
	notAudited := map[string]string{
		"POST /api/session/touch":       "a use of the session: it moves the deadline and nothing else",
		"POST /api/sessions/{id}/touch": "a use of the session: it moves the deadline and nothing else",
		"POST /api/session/token":       "it makes a JWT that lives for minutes, and stores nothing",
		"POST /api/session/introspect":  "it reads",
		"POST /api/sessions/get":        "it reads sessions that its caller names, as GET does",
	}
	for _, r := range s.walk() {
		name := r.method + " " + r.path
		one, known := examples[name]
		if _, listed := notAudited[name]; !known {
			reads := r.method == http.MethodGet || r.method == http.MethodHead
			assert.True(t, listed || reads, "%s: say what of it is in the audit log, or why nothing is", name)
			continue
		}
		a := one.send()
		require.Less(t, a.StatusCode, 300, "%s: %s", name, a.body)
		entries := log.take()
		assert.Equal(t, one.acts, acts(entries), name)
		for _, e := range entries {
			assert.Equal(t, name, e.Route)
			assert.Equal(t, a.Header.Get("X-Request-Id"), e.RequestID)
			assert.NotEmpty(t, e.ClientIP)
			if strings.HasPrefix(r.path, "/api/sessions") || r.scope != "" {
				assert.Equal(t, "token:admin", e.Actor, name)
			}
		}
		delete(examples, name)
	}
	assert.Empty(t, examples, "no such route")
}

func TestAudit_entries(t *testing.T) {
	t.Parallel()
	s, log := audited(t)
	c := s.client()

	c.do("POST", "/api/session", `{"inputs":{"a":1}}`, "User-Agent", fromFirefox).expect(http.StatusCreated)
	require.Empty(t, log.take(), "a session without a user")
	before := c.do("GET", "/api/session", "").document().ID
	c.do("PATCH", "/api/session", `{"inputs":{"a":2}}`).expect(http.StatusOK)
	require.Empty(t, log.take())

	a := s.client().do("POST", "/api/sessions/"+before+"/regenerate", `{"user":{"id":"ann","roles":["admin"]}}`, append(bearerOf("writer"), "User-Agent", "login/2.1")...)
	id := a.expect(http.StatusOK).json()["session"].(map[string]any)["id"].(string)
	require.Equal(t, []audit.Entry{{
		Time: s.clock.Now(), Actor: "token:writer", Act: audit.SessionSignedIn, Outcome: audit.Done, Namespace: "default", Session: hashOf(id),
		UserID: "ann", Route: "POST /api/sessions/{id}/regenerate", RequestID: a.Header.Get("X-Request-Id"), Client: "login", ClientIP: "127.0.0.0/24",
		Details: map[string]any{"previous": hashOf(before), "previousUserId": ""},
	}}, log.take())

	s.client().do("PATCH", "/api/sessions/"+id, `{"user":{"id":"bob"}}`, bearerOf("writer")...).expect(http.StatusOK)
	e := log.take()
	require.Len(t, e, 1)
	require.Equal(t, "bob", e[0].UserID)
	require.Equal(t, map[string]any{"previousUserId": "ann"}, e[0].Details)

	s.client().do("DELETE", "/api/sessions?userId=bob&except="+id, "", bearerOf("admin")...).expect(http.StatusOK)
	e = log.take()
	require.Len(t, e, 1)
	require.Equal(t, map[string]any{"count": 0, "filter": []string{"userId"}, "except": hashOf(id)}, e[0].Details)

	s.client().do("POST", "/api/sessions/end", `{"filter":{"userId":"bob","role":"admin"}}`, bearerOf("admin")...).expect(http.StatusOK)
	e = log.take()
	require.Len(t, e, 1)
	require.Equal(t, map[string]any{"count": 1, "filter": []string{"userId", "role"}}, e[0].Details)
	require.Equal(t, "bob", e[0].UserID)

	s.client().do("POST", "/api/sessions/end?dryRun=true", `{"filter":{"userId":"bob"}}`, bearerOf("admin")...).expect(http.StatusOK)
	s.client().do("POST", "/api/cleanup?dryRun=true", "", bearerOf("admin")...).expect(http.StatusOK)
	s.client().do("HEAD", "/api/export", "", bearerOf("admin")...).expect(http.StatusOK)
	require.Empty(t, log.take(), "nothing is done")
}

// hashOf is an id as the access log has it.
func hashOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%x", sum[:6])
}

// A user's limit ends sessions for which nobody has asked by name.
func TestAudit_userLimit(t *testing.T) {
	t.Parallel()
	s, log := audited(t, func(s *settings) { s.limit = store.UserLimit{Max: 1, Evict: true} })
	for range 2 {
		s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, bearerOf("writer")...).expect(http.StatusCreated)
	}
	entries := log.take()
	require.Equal(t, []audit.Act{audit.SessionCreated, audit.SessionEnded, audit.SessionCreated}, acts(entries))
	require.Equal(t, "user_limit", entries[1].Reason)
	require.Equal(t, entries[0].Session, entries[1].Session)
	require.Equal(t, "ann", entries[1].UserID)
}

// What an Idempotency-Key repeats is recorded by whichever attempt lived to do so.
func TestAudit_repeated(t *testing.T) {
	t.Parallel()
	s, log := audited(t, func(s *settings) { s.AuditRequired = true })
	headers := append(bearerOf("writer"), "Idempotency-Key", "0123456789abcdef0123456789abcdef0123")
	log.set(func(l *auditLog) { l.failing = errors.New("disk full") })
	p := s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, headers...).problem(http.StatusServiceUnavailable, "audit_unavailable")
	require.Contains(t, p.Detail, "was done")
	log.set(func(l *auditLog) { l.failing = nil })
	s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, headers...).expect(http.StatusCreated)
	entries := log.take()
	require.Len(t, entries, 1)
	require.Equal(t, map[string]any{"repeated": true}, entries[0].Details)
}

func TestAudit_refused(t *testing.T) {
	t.Parallel()
	expired := tokenFor("old", token.ScopeAdmin)
	elsewhere := tokenFor("elsewhere", token.ScopeAdmin)
	shop := tokenFor("shop", token.ScopeAdmin, "shop")
	s, log := audited(t, func(s *settings) {
		expired.Expires = s.Now().Add(-time.Hour)
		elsewhere.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		s.Secrets.Service = append(s.Secrets.Service, expired, elsewhere, shop)
	})
	const path = "/api/sessions/0123456789abcdef"
	for _, one := range []struct {
		path, as      string
		status        int
		reason, actor string
	}{
		{path, "nobody", http.StatusUnauthorized, "unknown", "open"},
		{path, "old", http.StatusUnauthorized, "expired", "token:old"},
		{path, "elsewhere", http.StatusUnauthorized, "address", "token:elsewhere"},
		{path, "shop", http.StatusNotFound, "namespace", "token:shop"},
		{"/api/export", "reader", http.StatusForbidden, "scope", "token:reader"},
		{path + "?touch=true", "reader", http.StatusForbidden, "scope", "token:reader"},
		{"/api/session", "reader", http.StatusForbidden, "scope", "token:reader"},
		{"/api/session", "shop", http.StatusNotFound, "namespace", "token:shop"},
	} {
		s.client().do("GET", one.path, "", bearerOf(one.as)...).expect(one.status)
		entries := log.take()
		require.Len(t, entries, 1, one)
		require.Equal(t, audit.CredentialRefused, entries[0].Act)
		require.Equal(t, audit.Refused, entries[0].Outcome)
		require.Equal(t, one.reason, entries[0].Reason)
		if one.as != "nobody" {
			require.Equal(t, one.actor, entries[0].Actor)
		}
	}
	s.client().do("GET", path, "", bearerOf("reader")...).expect(http.StatusNotFound)
	s.client().do("GET", path, "").expect(http.StatusUnauthorized)
	require.Empty(t, log.take(), "a session that is not there, and no credential at all")
}

// A flood of wrong tokens has few entries, and a sum.
func TestAudit_refusedFlood(t *testing.T) {
	t.Parallel()
	s, log := audited(t)
	for range 100 {
		s.client().do("GET", "/api/sessions/count", "", bearerOf("nobody")...).expect(http.StatusUnauthorized)
	}
	require.Len(t, log.take(), 20)
	s.api.RecordAuditSummaries(false)
	require.Empty(t, log.take(), "the minute is not over")
	s.clock.advance(time.Minute)
	s.api.RecordAuditSummaries(false)
	entries := log.take()
	require.Len(t, entries, 1)
	require.Equal(t, audit.CredentialsRefused, entries[0].Act)
	require.Equal(t, "unknown", entries[0].Reason)
	require.Equal(t, 80, entries[0].Details["count"])
	s.client().do("GET", "/api/sessions/count", "", bearerOf("nobody")...).expect(http.StatusUnauthorized)
	require.Len(t, log.take(), 1, "the next minute")
}

func TestAudit_refuse(t *testing.T) {
	t.Parallel()
	s, log := audited(t, func(s *settings) { s.AuditRequired = true })
	c := s.client()
	c.do("POST", "/api/session", `{"user":{"id":"ann"}}`, bearerOf("writer")...).expect(http.StatusCreated)
	log.take()
	log.set(func(l *auditLog) { l.unready = errors.New("disk full") })
	refused := func(a *answer) {
		t.Helper()
		require.Contains(t, a.problem(http.StatusServiceUnavailable, "audit_unavailable").Detail, "Nothing was done")
	}
	refused(s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, bearerOf("writer")...))
	refused(c.do("DELETE", "/api/session", ""))
	refused(c.do("POST", "/api/session/regenerate", ""))
	refused(c.do("PATCH", "/api/session", `{"user":{"id":"bob"}}`, bearerOf("writer")...))
	refused(s.client().do("DELETE", "/api/sessions?all=true", "", bearerOf("admin")...))
	refused(s.client().do("POST", "/api/sessions/end", `{"ids":["0123456789abcdef"]}`, bearerOf("admin")...))
	refused(s.client().do("POST", "/api/sessions/end", `{"filter":{"userId":"ann"}}`, bearerOf("admin")...))
	refused(s.client().do("POST", "/api/cleanup", "", bearerOf("admin")...))
	refused(s.client().do("GET", "/api/export", "", bearerOf("admin")...))
	refused(s.client().do("GET", "/api/backup", "", bearerOf("admin")...))
	refused(s.client().do("POST", "/api/import", "{}", append(bearerOf("admin"), "Content-Type", "application/x-ndjson")...))
	c.do("PATCH", "/api/session", `{"inputs":{"a":1}}`).expect(http.StatusOK)
	s.client().do("POST", "/api/session", `{}`).expect(http.StatusCreated)
	require.Equal(t, "ann", c.do("GET", "/api/session", "").expect(http.StatusOK).document().User.ID)
	require.Empty(t, log.take())

	log.set(func(l *auditLog) { l.unready, l.failing = nil, errors.New("disk full") })
	require.Contains(t, c.do("DELETE", "/api/session", "").problem(http.StatusServiceUnavailable, "audit_unavailable").Detail, "was done")
	c.do("GET", "/api/session", "").expect(http.StatusUnauthorized)
}

// By default, what cannot be recorded is done all the same.
func TestAudit_continue(t *testing.T) {
	t.Parallel()
	s, log := audited(t)
	log.set(func(l *auditLog) { l.unready, l.failing = errors.New("disk full"), errors.New("disk full") })
	c := s.client()
	c.do("POST", "/api/session", `{"user":{"id":"ann"}}`, bearerOf("writer")...).expect(http.StatusCreated)
	c.do("POST", "/api/session/regenerate", "").expect(http.StatusOK)
	c.do("DELETE", "/api/session", "").expect(http.StatusNoContent)
	s.client().do("GET", "/api/export", "", bearerOf("admin")...).expect(http.StatusOK)
	page := string(s.client().do("GET", "/metrics", "").expect(http.StatusOK).body)
	for _, line := range []string{"session_api_audit_failures_total 3\n", "session_api_audit_lost_entries_total 2\n", "session_api_audit_sequence 7\n"} {
		require.Contains(t, page, line)
	}
}

func TestAudit_expiryAndEviction(t *testing.T) {
	t.Parallel()
	s, log := audited(t, func(s *settings) {
		s.store = memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 3, Tombstone: time.Minute})
	})
	go s.api.AuditLoop(t.Context())
	// The loop follows events from now on: it does as soon as it has the first.
	for followed := false; !followed; {
		s.client().do("POST", "/api/sessions", `{}`, bearerOf("writer")...).expect(http.StatusCreated)
		followed = slices.Contains(acts(log.take()), audit.SessionEvicted)
	}
	user := s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, bearerOf("writer")...).expect(http.StatusCreated).json()["session"].(map[string]any)["id"].(string)
	entries := log.wait(t, 2)
	e := entries[slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Act == audit.SessionEvicted })]
	require.Equal(t, "store_full", e.Reason)
	require.Equal(t, audit.System, e.Actor)

	s.clock.advance(48 * time.Hour)
	_, err := s.store.Sweep(t.Context(), s.clock.Now())
	require.NoError(t, err)
	entries = log.wait(t, 3)
	at := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.UserID == "ann" })
	require.GreaterOrEqual(t, at, 0, entries)
	require.Equal(t, audit.SessionExpired, entries[at].Act)
	require.Equal(t, hashOf(user), entries[at].Session)
	require.Equal(t, "timeout", entries[at].Reason)
}

func TestAudit_cleanupLoop(t *testing.T) {
	t.Parallel()
	s, log := audited(t)
	s.api.RecordCleanup(cleanup.Report{SessionsExpired: 3, Kept: 4}, nil)
	require.Empty(t, log.take(), "nothing was deleted")
	s.api.RecordCleanup(cleanup.Report{Deleted: 1, BytesFreed: 5, Entries: []cleanup.Entry{
		{Path: "secret-name.pdf", Action: cleanup.ActionDeleted, Reason: cleanup.ReasonTooOld},
	}}, errors.New("half-way"))
	entries := log.take()
	require.Len(t, entries, 1)
	require.Equal(t, audit.Failed, entries[0].Outcome)
	text, err := json.Marshal(entries)
	require.NoError(t, err)
	require.NotContains(t, string(text), "secret-name")
	require.Contains(t, string(text), `"reasons":{"too_old":1}`)
}

// No token, no id and nothing that a session holds but its user's id gets into the log.
func TestAudit_noSecrets(t *testing.T) {
	t.Parallel()
	s, log := audited(t, func(s *settings) { s.Secrets.ServiceSecrets = [][]byte{[]byte("the-secret-of-writer")} })
	const marker = "only-in-a-section"
	body := `{"user":{"id":"ann","email":"` + marker + `@example.com","roles":["` + marker + `"]},"inputs":{"x":"` + marker + `"},"meta":{"` + marker + `":1}}`
	c := s.client()
	id := c.do("POST", "/api/session", body, append(bearerOf("writer"), "User-Agent", "the-secret-of-writer/1.0")...).expect(http.StatusCreated).document().ID
	cookie := c.token()
	c.do("POST", "/api/session/regenerate", "").expect(http.StatusOK)
	c.do("DELETE", "/api/session", "").expect(http.StatusNoContent)
	s.client().do("POST", "/api/sessions", `{"user":{"id":"`+strings.ReplaceAll(cookie, "%3A", ":")+`"}}`, bearerOf("writer")...).expect(http.StatusCreated)
	s.client().do("POST", "/api/sessions", `{"user":{"id":"the-secret-of-writer"}}`, bearerOf("writer")...).expect(http.StatusCreated)
	s.client().do("POST", "/api/sessions/end", `{"ids":["`+id+`"]}`, bearerOf("admin")...).expect(http.StatusOK)
	s.client().do("POST", "/api/sessions/end", `{"filter":{"role":"`+marker+`","userId":"ann"}}`, bearerOf("admin")...).expect(http.StatusOK)
	s.client().do("GET", "/api/sessions/"+id, "", "Authorization", "Bearer the-secret-of-somebody").expect(http.StatusUnauthorized)
	entries := log.take()
	require.Len(t, entries, 8)
	text, err := json.Marshal(entries)
	require.NoError(t, err)
	for _, secret := range []string{marker, id, cookie, "the-secret-of"} {
		require.NotContains(t, string(text), secret)
	}
}

// An act of which the store does not say whether it was done is recorded as unknown.
func TestAudit_unknownOutcome(t *testing.T) {
	t.Parallel()
	var broken *uncertainStore
	s, log := audited(t, func(s *settings) {
		broken = &uncertainStore{Store: s.store}
		s.store = broken
	})
	s.client().do("POST", "/api/sessions", `{"user":{"id":"ann"}}`, bearerOf("writer")...).problem(http.StatusServiceUnavailable, "store_unavailable")
	entries := log.take()
	require.Equal(t, []audit.Act{audit.SessionCreated}, acts(entries))
	require.Equal(t, audit.Unknown, entries[0].Outcome)
}

// uncertainStore stores sessions, and does not answer.
type uncertainStore struct{ backend.Store }

func (s *uncertainStore) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	if err := s.Store.Create(ctx, now, sess, opts...); err != nil {
		return err
	}
	return backend.ErrUnavailable
}
