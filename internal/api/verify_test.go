package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

const verify = "/api/session/verify"

// ada is a session of somebody with roles.
const ada = `{"user":{"id":"u-1","email":"ada@example.org","roles":["editor","reviewer"]}}`

// identity are the headers that tell a gateway who it is: session, user, email,
// roles. Each must be there once.
func identity(t *testing.T, h http.Header) [4]string {
	t.Helper()
	var values [4]string
	for i, name := range []string{"X-Session-Id", "X-User-Id", "X-User-Email", "X-User-Roles"} {
		require.Len(t, h[name], 1, name)
		values[i] = h[name][0]
	}
	return values
}

// anonymous requires that an answer names nobody.
func anonymous(t *testing.T, h http.Header) {
	t.Helper()
	for _, name := range []string{"X-Session-Id", "X-User-Id", "X-User-Email", "X-User-Roles"} {
		assert.NotContains(t, h, name)
	}
}

func TestVerifyTellsWhoItIs(t *testing.T) {
	s := start(t)
	for name, u := range map[string]struct {
		user string
		want [3]string
	}{
		"no user":        {`null`, [3]string{"", "", ""}},
		"all":            {`{"id":"u-1","email":"ada@example.org","roles":["editor","admin"]}`, [3]string{"u-1", "ada@example.org", "editor,admin"}},
		"an id alone":    {`{"id":"u-1"}`, [3]string{"u-1", "", ""}},
		"one role":       {`{"id":"u-1","roles":["editor"]}`, [3]string{"u-1", "", "editor"}},
		"all of ASCII":   {`{"id":"!\"#$&'()*+,-./09:;<=>?@AZ[\\]^_` + "`" + `az{|}~"}`, [3]string{"!\"#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", "", ""}},
		"space, percent": {`{"id":" a b%20 ","email":"100%"}`, [3]string{"%20a%20b%2520%20", "100%25", ""}},
		"beyond ASCII":   {`{"id":"Zoë €😀","email":"ä@ü.example","roles":["größe"]}`, [3]string{"Zo%C3%AB%20%E2%82%AC%F0%9F%98%80", "%C3%A4@%C3%BC.example", "gr%C3%B6%C3%9Fe"}},
		"commas":         {`{"id":"a,b","roles":["x,y","z","","%2C"]}`, [3]string{"a,b", "", "x%2Cy,z,,%252C"}},
		"one odd role":   {`{"id":"a","roles":["x,y"]}`, [3]string{"a", "", "x%2Cy"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client()
			d := c.create(`{"user":` + u.user + `}`)
			a := c.do("GET", verify, "").expect(200)
			assert.Empty(t, a.body)
			assert.Equal(t, [4]string{d.ID, u.want[0], u.want[1], u.want[2]}, identity(t, a.Header))
			assert.Empty(t, a.Header["Set-Cookie"], "nothing has moved")
			assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		})
	}
}

func TestVerifyOfNobody(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	token := c.token()
	c.do("DELETE", "/api/session", "").expect(204)
	for name, headers := range map[string][]string{
		"nothing":       nil,
		"other cookies": {"Cookie", "a=b; x" + cookieName + "=" + token},
	} {
		a := s.client().do("GET", verify, "", headers...)
		a.problem(401, "no_credential")
		assert.Equal(t, `Bearer realm="session-api"`, a.Header.Get("WWW-Authenticate"), name)
		anonymous(t, a.Header)
	}
	for name, headers := range map[string][]string{
		"an ended one":  {"Cookie", cookieName + "=" + token},
		"forged":        {"Cookie", cookieName + "=s%3A" + strings.Repeat("a", 64) + "." + strings.Repeat("A", 43)},
		"a bare id":     {"Cookie", cookieName + "=" + strings.Repeat("a", 64)},
		"service token": {"Authorization", "Bearer " + serviceToken},
		"basic":         {"Authorization", "Basic YTpi"},
	} {
		a := s.client().do("GET", verify, "", headers...)
		a.problem(401, "unauthorized")
		assert.Equal(t, `Bearer realm="session-api"`, a.Header.Get("WWW-Authenticate"), name)
		anonymous(t, a.Header)
	}
}

// Conflicting credentials are 400 elsewhere; a gateway understands no 400.
func TestVerifyOfContradictingCredentials(t *testing.T) {
	s := start(t)
	one, two := s.client(), s.client()
	one.create(ada)
	two.create(ada)
	for name, headers := range map[string][]string{
		"cookie and bearer":  {"Cookie", cookieName + "=" + one.token(), "Authorization", "Bearer " + two.token()},
		"two cookies":        {"Cookie", cookieName + "=" + one.token() + "; " + cookieName + "=" + two.token()},
		"two authorizations": {"Authorization", "Bearer " + one.token(), "Authorization", "Bearer " + one.token()},
	} {
		a := s.client().do("GET", verify, "", headers...)
		a.problem(401, "unauthorized")
		assert.Equal(t, name == "two cookies", a.Header["Set-Cookie"] != nil, name)
	}
	both := []string{"Cookie", cookieName + "=" + one.token(), "Authorization", "Bearer " + one.token()}
	s.client().do("GET", verify, "", both...).expect(200)
}

func TestVerifyRoles(t *testing.T) {
	s := start(t, func(set *settings) { set.AllowedOrigins = []string{"https://app.example.com"} })
	c := s.client()
	c.create(`{"user":{"id":"u-1","roles":["editor","a/b","x,y","größe",""]}}`)
	nobody := s.client()
	nobody.create(`{}`)
	for query, want := range map[string]int{
		"":                        200,
		"?":                       200,
		"?&":                      200,
		"?role=editor":            200,
		"?&role=editor":           200,
		"?role=admin&role=editor": 200,
		"?role=editor&role=admin": 200,
		"?role=a%2Fb":             200,
		"?role=x%2Cy":             200,
		"?role=x,y":               200,
		"?role=gr%C3%B6%C3%9Fe":   200,
		"?%72ole=editor":          200,
		"?role=admin":             403,
		"?role=Editor":            403,
		"?role=editor,admin":      403,
		"?role=edit":              403,
		"?role=editor+":           403,
		"?%72ole=admin":           403,
	} {
		a := c.do("GET", verify+query, "").expect(want)
		if want == 403 {
			a.problem(403, "role_required")
			anonymous(t, a.Header)
		}
		s.client().do("GET", verify+query, "").problem(401, "no_credential")
		if strings.Contains(query, "ole=") {
			nobody.do("GET", verify+query, "").problem(403, "role_required")
		}
	}
}

func TestVerifySlidesTheDeadline(t *testing.T) {
	s := start(t)
	c := s.client()
	made := c.create(ada)
	s.clock.advance(2 * time.Minute)
	moved := c.do("GET", verify, "").expect(200).Header["Set-Cookie"]
	require.Len(t, moved, 1)
	assert.Contains(t, moved[0], cookieName+"=s%3A"+made.ID+".")
	assert.Contains(t, moved[0], "Max-Age=86400")
	assert.Empty(t, c.do("GET", verify, "").expect(200).Header["Set-Cookie"])
	d := c.do("GET", "/api/session?touch=false", "").expect(200).document()
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), d.ExpiresAt)
	assert.Equal(t, 1, d.Revision)

	s.clock.advance(2 * time.Minute)
	assert.Len(t, c.do("GET", verify+"?role=admin", "").expect(403).Header["Set-Cookie"], 1, "it was used, whether or not it may pass")

	s.clock.advance(2 * time.Minute)
	bearer := s.client().do("GET", verify, "", "Authorization", "Bearer "+c.token()).expect(200)
	assert.Empty(t, bearer.Header["Set-Cookie"])
	s.clock.advance(24*time.Hour - time.Millisecond)
	c.do("GET", verify, "").expect(200)
	s.clock.advance(24 * time.Hour)
	c.do("GET", verify, "").problem(401, "unauthorized")
}

func TestVerifyWithoutTouchOnAccess(t *testing.T) {
	s := start(t, func(set *settings) { set.TouchOnAccess = false })
	c := s.client()
	c.create(ada)
	s.clock.advance(12 * time.Hour)
	assert.Empty(t, c.do("GET", verify, "").expect(200).Header["Set-Cookie"])
	s.clock.advance(12 * time.Hour)
	c.do("GET", verify, "").problem(401, "unauthorized")
}

// A token in its grace is good for reading, and earns nothing.
func TestVerifyWithinTheGrace(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	old := []string{"Cookie", cookieName + "=" + c.token()}
	next := c.do("POST", "/api/session/regenerate", `{"graceMs":60000}`).expect(200).document()
	s.clock.advance(59 * time.Second)
	a := s.client().do("GET", verify, "", old...).expect(200)
	assert.Equal(t, [4]string{next.ID, "u-1", "ada@example.org", "editor,reviewer"}, identity(t, a.Header))
	assert.Empty(t, a.Header["Set-Cookie"])
	s.clock.advance(2 * time.Second)
	s.client().do("GET", verify, "", old...).problem(401, "unauthorized")
}

// hung is a memory store some of whose methods wait for as long as they may.
type hung struct {
	*memory.Store
	reads, touches atomic.Bool
	touchError     atomic.Pointer[error]
	waiting        atomic.Int64
	patience       atomic.Int64 // the longest time that a caller would have waited
}

func newHung() *hung {
	return &hung{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 100})}
}

func (h *hung) wait(ctx context.Context) error {
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	if at, ok := ctx.Deadline(); ok {
		h.patience.Store(max(h.patience.Load(), int64(time.Until(at))))
	}
	<-ctx.Done()
	return fmt.Errorf("%w: hung: %w", backend.ErrUnavailable, ctx.Err())
}

func (h *hung) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if h.reads.Load() {
		return schema.Session{}, h.wait(ctx)
	}
	return h.Store.Get(ctx, now, key)
}

func (h *hung) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if h.reads.Load() {
		return schema.Session{}, h.wait(ctx)
	}
	return h.Store.Peek(ctx, now, key)
}

func (h *hung) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	if h.touches.Load() {
		return schema.Session{}, h.wait(ctx)
	}
	if err := h.touchError.Load(); err != nil {
		return schema.Session{}, *err
	}
	return h.Store.Touch(ctx, now, key, until)
}

func TestVerifyDoesNotWaitForAStoreThatHangs(t *testing.T) {
	assert.Less(t, api.DefaultVerifyTimeout, 200*time.Millisecond, "what Envoy waits")
	for name, touch := range map[string]bool{"touching": true, "reading": false} {
		t.Run(name, func(t *testing.T) {
			kept := newHung()
			s := start(t, func(set *settings) { set.store, set.TouchOnAccess = kept, touch })
			c := s.client()
			c.create(ada)
			kept.reads.Store(true)
			for range 3 {
				a := c.do("GET", verify, "")
				a.problem(503, "store_unavailable")
				assert.Equal(t, "1", a.Header.Get("Retry-After"))
				anonymous(t, a.Header)
			}
			assert.Zero(t, kept.waiting.Load(), "nobody is left behind")
			assert.LessOrEqual(t, time.Duration(kept.patience.Load()), api.DefaultVerifyTimeout)
			kept.reads.Store(false)
			c.do("GET", verify, "").expect(200)
		})
	}
}

// That the deadline cannot be written keeps nobody out.
func TestVerifyPassesWhereOnlyTheTouchFails(t *testing.T) {
	kept := newHung()
	s := start(t, func(set *settings) { set.store = kept })
	c := s.client()
	made := c.create(ada)
	s.clock.advance(time.Hour)
	for name, fail := range map[string]error{
		"read-only": backend.ErrReadOnly, "unavailable": backend.ErrUnavailable, "odd": errors.New("odd"),
	} {
		kept.touchError.Store(&fail)
		a := c.do("GET", verify, "").expect(200)
		assert.Equal(t, made.ID, identity(t, a.Header)[0], name)
		assert.Empty(t, a.Header["Set-Cookie"], name)
	}
	kept.touches.Store(true)
	a := c.do("GET", verify, "").expect(200)
	assert.Empty(t, a.Header["Set-Cookie"])
	kept.touches.Store(false)
	require.Eventually(t, func() bool { return kept.waiting.Load() == 0 }, patience, time.Millisecond, "nobody is left behind")

	gone := backend.ErrNotFound // ended between the read and the touch
	kept.touchError.Store(&gone)
	c.do("GET", verify, "").problem(401, "unauthorized")

	kept.touchError.Store(nil)
	assert.Len(t, c.do("GET", verify, "").expect(200).Header["Set-Cookie"], 1)
}

// odd is a store that gives out what it should not.
type odd struct {
	*memory.Store
	get func(schema.Session) (schema.Session, error)
}

func (o *odd) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	sess, err := o.Store.Get(ctx, now, key)
	if err != nil || o.get == nil {
		return sess, err
	}
	return o.get(sess)
}

func TestVerifyOfWhatCannotBe(t *testing.T) {
	for name, get := range map[string]func(schema.Session) (schema.Session, error){
		"a panic": func(schema.Session) (schema.Session, error) { panic("broken") },
		"a document that is none": func(s schema.Session) (schema.Session, error) {
			s.Doc = []byte(`{"id":"` + s.ID + `"}`)
			return s, nil
		},
		"an error of another kind": func(schema.Session) (schema.Session, error) { return schema.Session{}, errors.New("odd") },
		"a full store":             func(schema.Session) (schema.Session, error) { return schema.Session{}, backend.ErrFull },
	} {
		t.Run(name, func(t *testing.T) {
			kept := &odd{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})}
			s := start(t, func(set *settings) { set.store, set.TouchOnAccess = kept, false })
			c := s.client()
			c.create(ada)
			kept.get = get
			c.do("GET", verify, "").problem(503, "store_unavailable")
			assert.Contains(t, s.log.String(), `"level":"ERROR"`)
		})
	}
}

// A gateway that has hung up is no failure of the service.
func TestVerifyForAGatewayThatLeft(t *testing.T) {
	kept := newHung()
	s := start(t, func(set *settings) { set.store = kept })
	c := s.client()
	c.create(ada)
	kept.reads.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", verify, http.NoBody)
	r.Header.Set("Cookie", cookieName+"="+c.token())
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	assert.Equal(t, 503, w.Code, "not a success, if anybody reads it")
	assert.Contains(t, string(c.do("GET", "/metrics", "").body), `session_api_http_requests_total{method="GET",route="/api/session/verify",status="499"} 1`)
	assert.NotContains(t, s.log.String(), "request failed")
}

func TestVerifyIsCounted(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	c.do("GET", verify+"/some/path", "").expect(200)
	s.client().do("POST", verify, "").expect(401)
	metrics := string(c.do("GET", "/metrics", "").body)
	assert.Contains(t, metrics, `session_api_http_requests_total{method="GET",route="/api/session/verify",status="200"} 1`)
	assert.Contains(t, metrics, `session_api_http_requests_total{method="POST",route="/api/session/verify",status="401"} 1`)
	assert.Contains(t, metrics, `session_api_http_request_duration_seconds_count{method="GET",route="/api/session/verify"} 1`)
}
