package api_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

const keyHeader = "Idempotency-Key"

// newKey returns a key as a client makes it.
func newKey() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("%x", b)
}

// lossyStore loses answers: of the next change of a session, or of the next answer to a
// request, both of which are made. It can also hold the latter up.
type lossyStore struct {
	backend.Store
	loseChange, loseAnswer, refuseAnswer atomic.Bool
	gate                                 atomic.Pointer[chan struct{}] // closed to let answers pass
	held                                 atomic.Int32
}

func newLossy() *lossyStore {
	return &lossyStore{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000, Tombstone: 5 * time.Minute})}
}

func (s *lossyStore) Unwrap() backend.Store { return s.Store }

var errLost = fmt.Errorf("%w: the answer was lost", backend.ErrUnavailable)

func (s *lossyStore) change(err error) error {
	if err == nil && s.loseChange.CompareAndSwap(true, false) {
		return errLost
	}
	return err
}

func (s *lossyStore) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	return s.change(s.Store.Create(ctx, now, sess, opts...))
}

func (s *lossyStore) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	got, err := s.Store.Swap(ctx, now, old, next)
	return got, s.change(err)
}

func (s *lossyStore) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	got, err := s.Store.Touch(ctx, now, key, until)
	return got, s.change(err)
}

func (s *lossyStore) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	return s.change(s.Store.Regenerate(ctx, now, old, next, graceUntil))
}

func (s *lossyStore) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended, err := s.Store.DeleteAll(ctx, now, namespace, ids)
	return ended, s.change(err)
}

func (s *lossyStore) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	if gate := s.gate.Load(); gate != nil {
		s.held.Add(1)
		<-*gate
	}
	if s.refuseAnswer.CompareAndSwap(true, false) {
		return errLost
	}
	err := s.Store.AnswerRequest(ctx, now, key, r)
	if err == nil && s.loseAnswer.CompareAndSwap(true, false) {
		return errLost
	}
	return err
}

// bare is a client that keeps no cookies.
func (s *service) bare() *client {
	return &client{s: s, http: &http.Client{Transport: &contractTransport{t: s.t}}}
}

// cookieSetBy returns the session cookie that an answer sets, as a request sends it.
func cookieSetBy(a *answer) string {
	a.t.Helper()
	for _, ck := range a.Cookies() {
		if ck.Name == cookieName && ck.MaxAge >= 0 {
			return ck.Name + "=" + ck.Value
		}
	}
	require.Fail(a.t, "no cookie", "%v", a.Header)
	return ""
}

// keyed is a request with an Idempotency-Key, as a caller of its route sends it.
type keyed struct {
	method, route string
	query         string
	contentType   string
	body          string
	other         string // another body
	refused       string // a body that changes nothing
	// dies: the token of the caller has ended after the request.
	dies bool
}

const keyedRecord = `{"namespace":"default","idleMs":86400000,"life":"5I6dNpWgqYyJlJhT","session":{"id":"%s","createdAt":"2026-11-21T17:04:05.123Z",` +
	`"updatedAt":"2026-11-21T17:04:05.123Z","expiresAt":"2026-11-22T17:04:05.123Z","version":1,"revision":1,"user":null,"inputs":{},"apiConfig":{},"results":{},"meta":{}}}` + "\n"

var keyedRequests = []keyed{
	{method: "POST", route: "/api/session", body: `{"inputs":{"a":1}}`, other: `{"inputs":{"a":2}}`, refused: `{"Inputs":{}}`, dies: true},
	{method: "PUT", route: "/api/session", body: `{"inputs":{"a":1}}`, other: `{"inputs":{"a":2}}`, refused: `{"Inputs":{}}`},
	{method: "PATCH", route: "/api/session", body: `{"inputs":{"a":1}}`, other: `{"inputs":{"a":2}}`, refused: `{"Inputs":{}}`},
	{
		method: "POST", route: "/api/session/operations", contentType: "application/json-patch+json",
		body: `[{"op":"add","path":"/inputs/n/-","value":1}]`, other: `[{"op":"add","path":"/inputs/n/-","value":2}]`, refused: `[{"op":"test","path":"/inputs/n","value":[7]}]`,
	},
	{method: "POST", route: "/api/session/touch", body: `{"ttlMs":600000}`, other: `{"ttlMs":500000}`, refused: `{"ttlMs":0}`},
	{method: "POST", route: "/api/session/regenerate", body: `{"graceMs":0}`, other: `{}`, refused: `{"graceMs":-1}`, dies: true},
	{method: "POST", route: "/api/sessions", body: `{"user":{"id":"u"}}`, other: `{"user":{"id":"v"}}`, refused: `{"user":{}}`},
	{method: "POST", route: "/api/sessions", query: "?namespace=shop", body: `{"user":{"id":"u"}}`, other: `{"user":{"id":"v"}}`, refused: `{"user":{}}`},
	{method: "POST", route: "/api/sessions/end", body: `{"ids":["{id}"]}`, other: `{"ids":["{id}","0123456789abcdef"]}`, refused: `{"ids":[]}`},
	{method: "PUT", route: "/api/sessions/{id}", body: `{"inputs":{"a":1}}`, other: `{"inputs":{"a":2}}`, refused: `{"Inputs":{}}`},
	{method: "PATCH", route: "/api/sessions/{id}", body: `{"inputs":{"a":1}}`, other: `{"inputs":{"a":2}}`, refused: `{"Inputs":{}}`},
	{method: "POST", route: "/api/sessions/{id}/touch", body: `{"ttlMs":600000}`, other: `{"ttlMs":500000}`, refused: `{"ttlMs":0}`},
	{method: "POST", route: "/api/sessions/{id}/regenerate", body: `{"user":{"id":"u"}}`, other: `{"user":{"id":"v"}}`, refused: `{"user":{}}`},
	{
		method: "POST", route: "/api/import", contentType: "application/x-ndjson",
		body: fmt.Sprintf(keyedRecord, strings.Repeat("ab", 32)), other: fmt.Sprintf(keyedRecord, strings.Repeat("cd", 32)), refused: "nonsense\n",
	},
}

// keyedCaller sends one of keyedRequests, for a session that it has made.
type keyedCaller struct {
	keyed
	client  *client
	made    *answer
	cookie  string
	id, key string
}

func (k keyed) name() string { return k.method + " " + k.route + k.query }

func (k keyed) caller(s *service) *keyedCaller {
	s.t.Helper()
	c := &keyedCaller{keyed: k, client: s.bare(), key: newKey()}
	c.made = c.client.do("POST", "/api/session", `{"inputs":{"n":[]}}`).expect(201)
	c.id, c.cookie = c.made.document().ID, cookieSetBy(c.made)
	s.clock.advance(time.Hour) // any use moves the deadline
	return c
}

func (c *keyedCaller) send(body string) *answer {
	c.client.s.t.Helper()
	with := []string{"Content-Type", c.contentType}
	if c.contentType == "" {
		with[1] = "application/json"
		if c.method == "PATCH" {
			with[1] = "application/merge-patch+json"
		}
	}
	switch {
	case strings.HasPrefix(c.route, "/api/session/") || c.route == "/api/session":
		with = append(with, "Cookie", c.cookie)
	default:
		with = append(with, "Authorization", "Bearer "+serviceToken)
	}
	if c.key != "" {
		with = append(with, keyHeader, c.key)
	}
	fill := strings.NewReplacer("{id}", c.id)
	return c.client.do(c.method, fill.Replace(c.route)+c.query, fill.Replace(body), with...)
}

// state is what all sessions hold, without what is random.
func (s *service) state() (all []string) {
	s.t.Helper()
	for _, space := range []string{"default", "shop"} {
		page, err := s.store.List(s.t.Context(), s.clock.Now(), backend.Query{Namespace: space, Limit: 100})
		require.NoError(s.t, err)
		for _, sess := range page.Sessions {
			all = append(all, fmt.Sprint(space, sess.Revision, sess.ExpiresAt.UnixMilli(), sess.CreatedAt.UnixMilli(), sess.TTL, sess.UserID, string(randomID.ReplaceAll(sess.AppendJSON(nil), nil))))
		}
	}
	slices.Sort(all)
	return all
}

var randomID = regexp.MustCompile(`"id":"[0-9a-f]{64}"`)

// same requires that the answer is the one that was given before.
func (a *answer) same(first *answer) {
	a.t.Helper()
	a.expect(first.StatusCode)
	assert.Equal(a.t, "true", a.Header.Get("Idempotency-Replayed"))
	assert.Equal(a.t, string(first.body), string(a.body))
	for _, name := range []string{"Content-Type", "Etag", "Location"} {
		assert.Equal(a.t, first.Header[name], a.Header[name], name)
	}
	assert.NotEqual(a.t, first.Header.Get("X-Request-Id"), a.Header.Get("X-Request-Id"))
}

func TestIdempotencyKeyByRoute(t *testing.T) {
	for _, k := range keyedRequests {
		t.Run(k.name(), func(t *testing.T) {
			// What one request does, and what none does.
			clean := start(t, withServiceTokens)
			plain := k.caller(clean)
			none := clean.state()
			plain.key = ""
			plain.send(k.body).expect(plain.success())
			once := clean.state()
			require.NotEqual(t, none, once, "the request does something")

			t.Run("repeats", func(t *testing.T) {
				s := start(t, withServiceTokens)
				c := k.caller(s)
				first := c.send(k.body).expect(c.success())
				assert.Empty(t, first.Header["Idempotency-Replayed"])
				require.Equal(t, once, s.state())
				for range 3 {
					again := c.send(k.body)
					again.same(first)
					assert.Equal(t, first.Header["Set-Cookie"], again.Header["Set-Cookie"])
				}
				assert.Equal(t, once, s.state())
				c.key = `"` + c.key + `"` // the same, as RFC 8941 has it
				c.send(k.body).same(first)
				s.clock.advance(24 * time.Hour) // the session is over by then
				if c.route != "/api/sessions/end" && !strings.HasPrefix(c.route, "/api/import") {
					assert.Empty(t, c.send(k.body).Header["Idempotency-Replayed"], "it is remembered for so long and no longer")
				}
			})
			t.Run("another body", func(t *testing.T) {
				s := start(t, withServiceTokens)
				c := k.caller(s)
				first := c.send(k.body).expect(c.success())
				p := c.send(k.other).problem(422, "idempotency_key_reused")
				assert.NotContains(t, p.Detail, c.key)
				assert.Equal(t, once, s.state())
				c.send(k.body).same(first)
				c.key = newKey()
				assert.Empty(t, c.send(k.other).Header["Idempotency-Replayed"])
			})
			t.Run("in flight", func(t *testing.T) {
				lossy := newLossy()
				s := start(t, withServiceTokens, func(set *settings) { set.store = lossy })
				c := k.caller(s)
				gate := make(chan struct{})
				lossy.gate.Store(&gate)
				got := make(chan *answer, 1)
				go func() { got <- c.send(k.body) }()
				require.Eventually(t, func() bool { return lossy.held.Load() > 0 }, patience, time.Millisecond)
				busy := c.send(k.body)
				busy.problem(409, "request_in_progress")
				assert.Equal(t, "1", busy.Header.Get("Retry-After"))
				close(gate)
				first := (<-got).expect(c.success())
				c.send(k.body).same(first)
				assert.Equal(t, once, s.state())
			})
			t.Run("refused", func(t *testing.T) {
				s := start(t, withServiceTokens)
				c := k.caller(s)
				refused := c.send(k.refused)
				assert.Contains(t, []int{400, 409, 422}, refused.StatusCode, "%s", refused.body)
				assert.Equal(t, none, s.state())
				first := c.send(k.body).expect(c.success())
				assert.Empty(t, first.Header["Idempotency-Replayed"], "the corrected request may have the key")
				c.send(k.body).same(first)
				assert.Equal(t, once, s.state())
			})
			for name, fault := range map[string]func(*lossyStore) *atomic.Bool{
				"the change's outcome is unknown": func(s *lossyStore) *atomic.Bool { return &s.loseChange },
				"the answer is not stored":        func(s *lossyStore) *atomic.Bool { return &s.refuseAnswer },
				"the answer is stored, perhaps":   func(s *lossyStore) *atomic.Bool { return &s.loseAnswer },
			} {
				t.Run(name, func(t *testing.T) {
					lossy := newLossy()
					s := start(t, withServiceTokens, func(set *settings) { set.store = lossy })
					c := k.caller(s)
					fault(lossy).Store(true)
					lost := c.send(k.body)
					lost.problem(503, "store_unavailable")
					assert.Empty(t, lost.Header["Set-Cookie"], "what is not stored is not told")
					assert.Empty(t, lost.Header["Location"])
					require.False(t, fault(lossy).Load())
					if k.route != "/api/import" { // of which nothing is known before its end
						c.send(k.other).problem(422, "idempotency_key_reused")
					}
					second := c.send(k.body)
					assert.Less(t, second.StatusCode, 300, "%s", second.body)
					assert.Equal(t, once, s.state())
					c.send(k.body).same(second)
					assert.Equal(t, once, s.state())
				})
			}
			t.Run("after the session has ended", func(t *testing.T) {
				s := start(t, withServiceTokens)
				c := k.caller(s)
				first := c.send(k.body).expect(c.success())
				for _, space := range []string{"default", "shop"} {
					_, err := s.store.Clear(t.Context(), s.clock.Now(), backend.Filter{Namespace: space})
					require.NoError(t, err)
				}
				again := c.send(k.body)
				again.same(first)
				assert.Empty(t, again.Header["Set-Cookie"], "it would open nothing")
				assert.Empty(t, s.state(), "nothing comes back")
			})
			t.Run("another caller", func(t *testing.T) {
				s := start(t, withServiceTokens)
				c := k.caller(s)
				c.send(k.body).expect(c.success())
				other := k.caller(s)
				other.key = c.key
				if !strings.HasPrefix(k.route, "/api/sessions") && k.route != "/api/import" {
					assert.Empty(t, other.send(k.body).expect(other.success()).Header["Idempotency-Replayed"])
				}
			})
		})
	}
}

func (k keyed) success() int {
	if k.method == "POST" && (k.route == "/api/session" || k.route == "/api/sessions") {
		return http.StatusCreated
	}
	return http.StatusOK
}

// The table above, the routes and the contract agree about who takes a key.
func TestRoutesThatTakeAnIdempotencyKey(t *testing.T) {
	tested := map[string]bool{}
	for _, k := range keyedRequests {
		tested[k.method+" "+k.route] = true
	}
	doc, err := loadContract()
	require.NoError(t, err)
	s := start(t)
	require.NoError(t, chi.Walk(s.api.Routes(), func(method, path string, h http.Handler, _ ...func(http.Handler) http.Handler) error {
		endpoint, ok := h.(*api.Endpoint)
		if !ok {
			return nil
		}
		name := method + " " + path
		assert.Equal(t, endpoint.TakesIdempotencyKey(), tested[name], name)
		promised := false
		if item := doc.Paths.Find(path); item != nil && item.GetOperation(method) != nil {
			for _, p := range item.GetOperation(method).Parameters {
				promised = promised || p.Value.In == openapi3.ParameterInHeader && p.Value.Name == keyHeader
			}
		}
		assert.Equal(t, endpoint.TakesIdempotencyKey(), promised, name)
		return nil
	}))
}

// A browser that gets the cookie but not the body repeats with the new cookie.
func TestARepeatWithTheNewCookie(t *testing.T) {
	lossy := newLossy()
	s := start(t, func(set *settings) { set.store, set.AutoCreate = lossy, true })
	t.Run("create", func(t *testing.T) {
		browser, key := s.client(), newKey()
		first := browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).expect(201)
		require.NotEmpty(t, browser.token())
		before := s.state()
		browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).same(first)
		browser.do("POST", "/api/session", `{"inputs":{"a":2}}`, keyHeader, key).problem(422, "idempotency_key_reused")
		assert.Equal(t, before, s.state())
	})
	t.Run("create in place of another", func(t *testing.T) {
		browser, key := s.client(), newKey()
		browser.create("")
		first := browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).expect(201)
		before := s.state()
		browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).same(first)
		assert.Equal(t, before, s.state())
	})
	t.Run("regenerate", func(t *testing.T) {
		browser, key := s.client(), newKey()
		made := browser.create("")
		old := browser.token()
		first := browser.do("POST", "/api/session/regenerate", "", keyHeader, key).expect(200)
		assert.NotEqual(t, made.ID, first.document().ID)
		fresh := browser.token()
		browser.do("POST", "/api/session/regenerate", "", keyHeader, key).same(first)
		assert.Equal(t, fresh, browser.token())
		again := s.bare().do("POST", "/api/session/regenerate", "", keyHeader, key, "Cookie", cookieName+"="+old)
		again.same(first)
		assert.Equal(t, cookieName+"="+fresh, cookieSetBy(again), "whoever has the dead token and the key gets the new one")
		s.bare().do("POST", "/api/session/touch", "", "Cookie", cookieName+"="+old).problem(401, "unauthorized")
	})
	t.Run("a session that nobody asked for", func(t *testing.T) {
		browser, key := s.client(), newKey()
		first := browser.do("PATCH", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).expect(201)
		before := s.state()
		browser.do("PATCH", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).same(first)
		assert.Equal(t, before, s.state())
	})
	t.Run("lost before the cookie", func(t *testing.T) {
		for range 2 { // the first answer that is stored is for the new cookie, the second for the old
			browser, key := s.client(), newKey()
			lossy.refuseAnswer.Store(true)
			browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).problem(503, "store_unavailable")
			require.Empty(t, browser.token())
			before := s.state()
			first := browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).expect(201)
			browser.do("POST", "/api/session", `{"inputs":{"a":1}}`, keyHeader, key).same(first)
			assert.Equal(t, before, s.state())
		}
	})
}

// fullStore has no room for answers.
type fullStore struct{ backend.Store }

func (s fullStore) Unwrap() backend.Store { return s.Store }

func (fullStore) AnswerRequest(context.Context, time.Time, backend.RequestKey, backend.Request) error {
	return backend.ErrFull
}

// What cannot be remembered is done and answered all the same, and found by its repeats.
func TestAnAnswerThatThereIsNoRoomFor(t *testing.T) {
	s := start(t, func(set *settings) { set.store = fullStore{set.store} })
	c, key := s.bare(), newKey()
	first := c.do("POST", "/api/session", `{"inputs":{"n":[]}}`, keyHeader, key).expect(201)
	again := c.do("POST", "/api/session", `{"inputs":{"n":[]}}`, keyHeader, key).expect(201)
	assert.Equal(t, string(first.body), string(again.body))
	assert.Equal(t, cookieSetBy(first), cookieSetBy(again))
	cookie := cookieSetBy(first)
	for range 2 {
		a := c.do("POST", "/api/session/operations", `[{"op":"add","path":"/inputs/n/-","value":1}]`, "Content-Type", "application/json-patch+json", keyHeader, key, "Cookie", cookie)
		assert.JSONEq(t, `{"n":[1]}`, string(a.expect(200).document().Inputs))
	}
	assert.Len(t, s.state(), 1)
}

// The token of a bearer client is signed anew, and is in the body as it was.
func TestARepeatOfABearerClient(t *testing.T) {
	s := start(t)
	c, key := s.bare(), newKey()
	first := c.do("POST", "/api/session?transport=bearer", "", keyHeader, key).expect(201)
	again := c.do("POST", "/api/session?transport=bearer", "", keyHeader, key)
	again.same(first)
	assert.Empty(t, again.Header["Set-Cookie"])
	bearer := "Bearer " + first.document().Token
	regenerated := c.do("POST", "/api/session/regenerate", "", keyHeader, key, "Authorization", bearer).expect(200)
	require.NotEqual(t, first.document().Token, regenerated.document().Token)
	c.do("POST", "/api/session/regenerate", "", keyHeader, key, "Authorization", bearer).same(regenerated)

	// With another secret, the token of a repeat is signed with that.
	require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{[]byte("another-secret-of-the-test-32-bytes"), []byte(secret)}}))
	anew := c.do("POST", "/api/session/regenerate", "", keyHeader, key, "Authorization", bearer).expect(200)
	assert.Equal(t, regenerated.document().ID, anew.document().ID)
	assert.NotEqual(t, regenerated.document().Token, anew.document().Token)
	c.do("GET", "/api/session", "", "Authorization", "Bearer "+anew.document().Token).expect(200)
	c.do("POST", "/api/session?transport=cookie", "", keyHeader, key).problem(422, "idempotency_key_reused")
}

// A repeat's cookie lives for as long as the session does by now, and is of its kind.
func TestTheCookieOfARepeat(t *testing.T) {
	s := start(t, withServiceTokens)
	for remember, cookie := range map[bool]string{true: "Max-Age=2595600", false: ""} { // 30 days and an hour, as it is an hour ago
		c, key := s.bare(), newKey()
		body := fmt.Sprintf(`{"remember":%t}`, remember)
		first := c.do("POST", "/api/session", body, keyHeader, key).expect(201)
		later := s.clock.Now().Add(time.Hour)
		_, err := s.store.Touch(t.Context(), later, backend.Key{Namespace: "default", ID: first.document().ID}, later.Add(30*24*time.Hour))
		require.NoError(t, err)
		again := c.do("POST", "/api/session", body, keyHeader, key)
		again.same(first)
		require.Len(t, again.Header["Set-Cookie"], 1)
		if remember {
			assert.Contains(t, again.Header.Get("Set-Cookie"), cookie)
		} else {
			assert.NotContains(t, again.Header.Get("Set-Cookie"), "Max-Age")
		}
	}
}

func TestInvalidIdempotencyKeys(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.bare()
	for _, key := range []string{"short", strings.Repeat("x", 256), `"unended-key-of-some-length`, "a key with spaces in it", "ein-schl\xc3\xbcssel-mit-umlaut"} {
		a := s.backend().do("POST", "/api/sessions", "", keyHeader, key)
		p := a.problem(400, "invalid_idempotency_key")
		assert.NotContains(t, string(a.body), key)
		assert.Contains(t, p.Detail, "Idempotency-Key")
	}
	c.do("POST", "/api/session", "", keyHeader, newKey(), keyHeader, newKey()).problem(400, "invalid_idempotency_key")
	p := c.do("POST", "/api/session", "", keyHeader, strings.Repeat("x", 35)).problem(400, "invalid_idempotency_key")
	assert.Contains(t, p.Detail, "36")
	c.do("POST", "/api/session", "", keyHeader, strings.Repeat("x", 36)).expect(201)
	s.backend().do("POST", "/api/sessions", "", keyHeader, strings.Repeat("x", 16)).expect(201)
	// Who opens no session is told that, whatever the key: it is of no use here.
	c.do("PATCH", "/api/session", `{}`, keyHeader, "short").problem(400, "invalid_idempotency_key")
	c.do("PATCH", "/api/session", `{}`, keyHeader, strings.Repeat("x", 16)).problem(401, "no_credential")
	// Other routes ignore the header, and so do all where nothing is remembered.
	c.do("GET", "/api/session/stats", "", keyHeader, "short").expect(200)
	s.backend().do("POST", "/api/cleanup?dryRun=true", "", keyHeader, "short").expect(200)
	off := start(t, func(set *settings) { set.IdempotencyTTL = 0 })
	for range 2 {
		a, err := post(t.Context(), http.DefaultTransport, off.url+"/api/session", "short")
		require.NoError(t, err)
		assert.Equal(t, http.StatusCreated, a.status)
		assert.Empty(t, a.header["Idempotency-Replayed"])
	}
}

// What two services send with the same key is done twice: a key belongs to its caller.
func TestAKeyBelongsToItsCaller(t *testing.T) {
	s := start(t, withServiceTokens)
	const key = "order-0000000017"
	ids := map[string]string{}
	for _, token := range []string{serviceToken, "another-service-token-of-32-bytes!!"} {
		create := func() *answer {
			return s.bare().do("POST", "/api/sessions", `{"user":{"id":"u"}}`, "Authorization", "Bearer "+token, keyHeader, key).expect(201)
		}
		first := create()
		assert.Empty(t, first.Header["Idempotency-Replayed"])
		create().same(first)
		ids[token] = first.Header.Get("Location")
	}
	assert.NotEqual(t, ids[serviceToken], ids["another-service-token-of-32-bytes!!"])

	// The same change of one session, too, although the first one marks it.
	at := "/api/sessions/" + s.client().create("").ID
	patch := func(token, value string, headers ...string) int {
		headers = append(headers, "Authorization", "Bearer "+token)
		return s.bare().do("PATCH", at, `{"meta":{"a":`+value+`}}`, headers...).expect(200).document().Revision
	}
	const other = "order-0000000018"
	assert.Equal(t, 2, patch(serviceToken, "1", keyHeader, other))
	assert.Equal(t, 3, patch(serviceToken, "2"))
	assert.Equal(t, 4, patch("another-service-token-of-32-bytes!!", "1", keyHeader, other))
	assert.Equal(t, 2, patch(serviceToken, "1", keyHeader, other))
}

// A body that is read before its route sees it is refused as it would be there.
func TestBodiesOfRequestsWithAKey(t *testing.T) {
	s := start(t, func(set *settings) { set.rules.MaxBytes = 300_000 })
	c := s.client()
	c.create("")
	send := func(body, contentType string) plainAnswer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/api/session", io.MultiReader(strings.NewReader(body))) // of unknown length
		require.NoError(t, err)
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Cookie", cookieName+"="+c.token())
		req.Header.Set(keyHeader, newKey())
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		return plainAnswer{resp.StatusCode, resp.Header, string(got)}
	}
	assert.Equal(t, 200, send(`{"meta":{"a":1}}`, "application/json").status)
	assert.Equal(t, 415, send(`{"meta":{"a":1}}`, "text/plain").status)
	assert.Equal(t, 400, send("", "application/json").status)
	assert.Equal(t, 413, send(`{"meta":{"a":"`+strings.Repeat("x", 310_000)+`"}}`, "application/json").status)
	assert.Equal(t, 413, send(`{"meta":{"a":"`+strings.Repeat("x", 400_000)+`"}}`, "application/json").status)
	c.do("PUT", "/api/session", `{"meta":{}}`, "Content-Type", "text/plain", keyHeader, newKey()).problem(415, "unsupported_media_type")
	c.do("PUT", "/api/session", `{"meta":{"a":"`+strings.Repeat("x", 400_000)+`"}}`, keyHeader, newKey()).problem(413, "too_large")
	c.do("PUT", "/api/session", "", keyHeader, newKey()).problem(400, "bad_request")
}

// What was appended is appended once, also where the visitor's session has got another id
// in between.
func TestARepeatAfterARegenerateOfSomebodyElse(t *testing.T) {
	lossy := newLossy()
	s := start(t, func(set *settings) { set.store = lossy })
	c, key := s.client(), newKey()
	c.create(`{"inputs":{"n":[]}}`)
	patch := func() *answer {
		return c.do("POST", "/api/session/operations", `[{"op":"add","path":"/inputs/n/-","value":1}]`, "Content-Type", "application/json-patch+json", keyHeader, key)
	}
	lossy.loseChange.Store(true)
	patch().problem(503, "store_unavailable")
	c.do("POST", "/api/session/regenerate", "").expect(200) // another tab
	a := patch().expect(200)
	assert.JSONEq(t, `{"n":[1]}`, string(a.document().Inputs))
}

// Replays are not counted by the limits of creations.
func TestReplaysAreNotLimited(t *testing.T) {
	s := start(t, func(set *settings) { set.CreatePerMinute = 2 })
	c, key := s.bare(), newKey()
	first := c.do("POST", "/api/session", "", keyHeader, key).expect(201)
	for range 5 {
		c.do("POST", "/api/session", "", keyHeader, key).same(first)
	}
	c.do("POST", "/api/session", "").expect(201)
	refused := newKey()
	c.do("POST", "/api/session", "", keyHeader, refused).problem(429, "rate_limited")
	c.do("POST", "/api/session", "", keyHeader, refused).problem(429, "rate_limited")
	c.do("POST", "/api/session", "", keyHeader, key).same(first)
}

// A key is nowhere to be read.
func TestAKeyIsNowhereToBeRead(t *testing.T) {
	lossy := newLossy()
	s := start(t, func(set *settings) { set.store, set.AllowedOrigins = lossy, []string{"https://app.example.org"} })
	key := newKey()
	c := s.client()
	var seen []string
	see := func(a *answer) {
		seen = append(seen, string(a.body), fmt.Sprint(a.Header))
	}
	see(c.do("POST", "/api/session", `{"inputs":{"n":[]}}`, keyHeader, key, "Origin", "https://app.example.org").expect(201))
	see(c.do("POST", "/api/session", `{"inputs":{"n":[]}}`, keyHeader, key, "Origin", "https://app.example.org").expect(201))
	see(c.do("POST", "/api/session", `{}`, keyHeader, key))
	see(c.do("POST", "/api/session", `{`, keyHeader, key+"{"))
	see(c.do("PATCH", "/api/session", `{`, keyHeader, `"`+key))
	lossy.refuseAnswer.Store(true)
	see(c.do("PATCH", "/api/session", `{"meta":{"a":1}}`, keyHeader, key+"-2").expect(503))
	see(c.do("GET", "/api/session/stats", "", keyHeader, key))
	see(c.do("GET", "/metrics", ""))
	see(c.do("GET", "/api/export", ""))
	require.Contains(t, s.log.String(), `PATCH /api/session`)
	assert.NotContains(t, strings.Join(seen, "\n")+s.log.String(), key)
	assert.NotContains(t, strings.Join(seen, "\n")+s.log.String(), key[:20])
	metrics := string(c.do("GET", "/metrics", "").body)
	for _, line := range []string{
		`session_api_idempotent_requests_total{outcome="first"} `, `session_api_idempotent_requests_total{outcome="replayed"} 1`,
		`session_api_idempotent_requests_total{outcome="reused"} 1`, `session_api_idempotent_requests_total{outcome="in_progress"} 0`,
		`session_api_idempotent_requests_total{outcome="resumed"} 0`,
	} {
		assert.Contains(t, metrics, line)
	}
	assert.Equal(t, 2, strings.Count(s.log.String(), `POST /api/session => HTTP 201`), "a line for each request")
	replayed := c.do("POST", "/api/session", `{"inputs":{"n":[]}}`, keyHeader, key, "Origin", "https://app.example.org")
	assert.Contains(t, replayed.Header.Get("Access-Control-Expose-Headers"), "Idempotency-Replayed")
}

// A client that hangs up while its request is answered finds the answer when it repeats.
func TestAClientThatHangsUp(t *testing.T) {
	lossy := newLossy()
	s := start(t, func(set *settings) { set.store = lossy })
	c, key := s.bare(), newKey()
	gate := make(chan struct{})
	lossy.gate.Store(&gate)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/api/session", http.NoBody)
	require.NoError(t, err)
	req.Header.Set(keyHeader, key)
	gone := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		gone <- err
	}()
	require.Eventually(t, func() bool { return lossy.held.Load() > 0 }, patience, time.Millisecond)
	leave()
	require.Error(t, <-gone)
	close(gate)
	var again *answer
	require.Eventually(t, func() bool {
		again = c.do("POST", "/api/session", "", keyHeader, key)
		return again.StatusCode != http.StatusConflict
	}, patience, time.Millisecond)
	again.expect(201)
	assert.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	assert.Len(t, s.state(), 1)
}

// A large answer and a large import are repeated whole, and a panic gives the request up.
func TestLargeAnswersAndImports(t *testing.T) {
	s := start(t, withServiceTokens)
	c, key := s.client(), newKey()
	large := `{"inputs":{"text":"` + strings.Repeat("lorem ipsum ", 50_000) + `"}}`
	first := c.do("POST", "/api/session", large, keyHeader, key).expect(201)
	c.do("POST", "/api/session", large, keyHeader, key).same(first)

	var records strings.Builder
	for i := range 500 {
		fmt.Fprintf(&records, keyedRecord, fmt.Sprintf("%064x", i))
	}
	b := s.backend()
	imported := b.do("POST", "/api/import", records.String(), "Content-Type", "application/x-ndjson", keyHeader, key)
	assert.EqualValues(t, 500, imported.expect(200).json()["imported"])
	b.do("POST", "/api/import", records.String(), "Content-Type", "application/x-ndjson", keyHeader, key).same(imported)
}

type panickingSwap struct {
	backend.Store
	panics atomic.Bool
}

func (s *panickingSwap) Unwrap() backend.Store { return s.Store }

func (s *panickingSwap) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	got, err := s.Store.Swap(ctx, now, old, next)
	if s.panics.CompareAndSwap(true, false) {
		panic("after the change")
	}
	return got, err
}

func TestAPanicGivesTheAttemptUp(t *testing.T) {
	faulty := &panickingSwap{Store: newLossy()}
	s := start(t, func(set *settings) { set.store = faulty })
	c, key := s.client(), newKey()
	c.create(`{"inputs":{"n":[]}}`)
	patch := func() *answer {
		return c.do("POST", "/api/session/operations", `[{"op":"add","path":"/inputs/n/-","value":1}]`, "Content-Type", "application/json-patch+json", keyHeader, key)
	}
	faulty.panics.Store(true)
	a := patch()
	a.problem(500, "internal")
	assert.Empty(t, a.Header["Etag"])
	assert.JSONEq(t, `{"n":[1]}`, string(patch().expect(200).document().Inputs))
}

// onRedis starts so many instances on one Redis.
func onRedis(t *testing.T, instances int) (all []*service) {
	t.Helper()
	server := redistest.Start(t)
	for range instances {
		kept, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 30 * time.Second}})
		require.NoError(t, err)
		all = append(all, start(t, withServiceTokens, func(set *settings) {
			set.store, set.Now = kept, time.Now // it is the time of Redis, too
		}))
	}
	return all
}

// One create with one key makes one session, however many repeat it at the same time,
// and wherever.
func TestAThousandRepeatsMakeOneSession(t *testing.T) {
	now := func(s *service) time.Time {
		if s.store.Name() == "memory" {
			return s.clock.Now()
		}
		return time.Now()
	}
	for name, instances := range map[string]func(t *testing.T) []*service{
		"memory": func(t *testing.T) []*service { return []*service{start(t, withServiceTokens)} },
		"redis":  func(t *testing.T) []*service { return onRedis(t, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			all := instances(t)
			key := newKey()
			transport := &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64}
			t.Cleanup(transport.CloseIdleConnections)
			const repeats = 1000
			var mu sync.Mutex
			bodies := map[string]int{}
			cookies := map[string]bool{}
			firsts := 0
			var wg sync.WaitGroup
			begin := make(chan struct{})
			for i := range repeats {
				wg.Go(func() {
					<-begin
					url := all[i%len(all)].url + "/api/session"
					a, err := post(t.Context(), transport, url, key)
					for err == nil && a.status == http.StatusConflict {
						runtime.Gosched()
						a, err = post(t.Context(), transport, url, key)
					}
					mu.Lock()
					defer mu.Unlock()
					if assert.NoError(t, err) && assert.Equal(t, http.StatusCreated, a.status, a.body) {
						bodies[a.body]++
						cookies[strings.SplitN(a.header.Get("Set-Cookie"), ";", 2)[0]] = true
						if a.header.Get("Idempotency-Replayed") == "" {
							firsts++
						}
					}
				})
			}
			close(begin)
			wg.Wait()
			assert.Len(t, bodies, 1)
			assert.Len(t, cookies, 1)
			assert.Equal(t, 1, firsts)
			n, err := all[0].store.Count(t.Context(), now(all[0]), backend.Filter{Namespace: "default"})
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		})
	}
}

type plainAnswer struct {
	status int
	header http.Header
	body   string
}

// post creates a session.
func post(ctx context.Context, transport http.RoundTripper, url, key string) (a plainAnswer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return a, err
	}
	req.Header.Set(keyHeader, key)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return a, err
	}
	body, err := io.ReadAll(resp.Body)
	return plainAnswer{resp.StatusCode, resp.Header, string(body)}, errors.Join(err, resp.Body.Close())
}

// On Redis, an answer that one instance gave is known to the other, and a regenerate whose
// answer was lost gives the new session.
func TestIdempotencyKeysOnRedis(t *testing.T) {
	all := onRedis(t, 2)
	for _, k := range keyedRequests {
		t.Run(k.name(), func(t *testing.T) {
			one := k.caller(all[0])
			if k.route == "/api/import" { // its records are of a time that is over
				one.body = strings.ReplaceAll(k.body, "2026-11-22", "2126-11-22")
				one.other = strings.ReplaceAll(k.other, "2026-11-22", "2126-11-22")
			}
			other := *one
			other.client = all[1].bare()
			first := one.send(one.body).expect(one.success())
			again := other.send(one.body)
			again.expect(first.StatusCode)
			assert.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
			if !strings.Contains(string(first.body), `"setCookie"`) { // whose Max-Age may have passed a second
				assert.Equal(t, string(first.body), string(again.body))
			}
			assert.Equal(t, first.Header["Etag"], again.Header["Etag"])
			if len(first.Header["Set-Cookie"]) > 0 {
				assert.Equal(t, cookieSetBy(first), cookieSetBy(again))
			}
			other.send(one.other).problem(422, "idempotency_key_reused")
			one.send(one.other).problem(422, "idempotency_key_reused")
		})
	}
}
