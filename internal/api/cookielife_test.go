package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/store/memory"
)

// browser is a client whose cookie ends when its Max-Age says so, by the
// service's clock.
type browser struct {
	*client
	ends time.Time
}

func (s *service) browser() *browser { return &browser{client: s.client()} }

// visit sends a request with the cookie that the browser still has.
func (b *browser) visit(method, path, body string, headers ...string) *answer {
	b.s.t.Helper()
	if !b.ends.IsZero() && !b.s.clock.Now().Before(b.ends) {
		u, err := url.Parse(b.s.url)
		require.NoError(b.s.t, err)
		b.http.Jar.SetCookies(u, []*http.Cookie{{Name: cookieName, Path: "/", MaxAge: -1}})
	}
	a := b.do(method, path, body, headers...)
	for _, c := range a.Cookies() {
		assert.WithinDuration(b.s.t, b.s.clock.Now().Add(time.Duration(c.MaxAge)*time.Second), c.Expires, time.Second, "they say the same")
		b.ends = b.s.clock.Now().Add(time.Duration(c.MaxAge) * time.Second)
	}
	return a
}

func TestTheCookieLivesAsLongAsTheSession(t *testing.T) {
	type move struct {
		how  string
		move func(s *service, b *browser, id string)
	}
	byService := func(method, suffix, body string) func(*service, *browser, string) {
		return func(s *service, _ *browser, id string) {
			s.client().do(method, "/api/sessions/"+id+suffix, body).expect(200)
		}
	}
	moves := []move{
		{"a service's touch", byService("POST", "/touch", "")},
		{"a service's ttlMs", byService("POST", "/touch", `{"ttlMs":864000000}`)},
		{"a service's write", byService("PATCH", "?touch=true", `{"meta":{"a":1}}`)},
		{"a service's read", byService("GET", "?touch=true", "")},
		{"a service's PUT with ttlMs", byService("PUT", "", `{"ttlMs":864000000}`)},
		{"the bearer of its token", func(s *service, b *browser, _ string) {
			s.client().do("POST", "/api/session/touch", "", "Authorization", "Bearer "+b.token()).expect(200)
		}},
		{"a gateway that drops Set-Cookie", func(s *service, b *browser, _ string) {
			s.client().do("GET", verify, "", "Cookie", cookieName+"="+b.token()).expect(200)
		}},
	}
	uses := []struct {
		name, method, path, body string
		status                   int
		headers                  []string
	}{
		{"GET", "GET", "/api/session", "", 200, nil},
		{"304", "GET", "/api/session", "", 304, []string{"If-None-Match", "*"}},
		{"GET that touches nothing", "GET", "/api/session?touch=false", "", 200, nil},
		{"HEAD", "HEAD", "/api/session", "", 200, nil},
		{"PUT", "PUT", "/api/session", `{"meta":{"b":1}}`, 200, nil},
		{"PATCH of nothing", "PATCH", "/api/session", `{}`, 200, nil},
		{"operations", "POST", "/api/session/operations", `[]`, 200, nil},
		{"touch", "POST", "/api/session/touch", "", 200, nil},
		{"create or load", "POST", "/api/session", "", 200, []string{"If-None-Match", "*"}},
		{"verify", "GET", verify, "", 200, nil},
	}
	for _, off := range []bool{false, true} {
		for _, m := range moves {
			for _, use := range uses {
				if use.name == "verify" && m.how == "a gateway that drops Set-Cookie" {
					continue // it drops that one too
				}
				s := start(t, func(set *settings) { set.TouchOnAccess = !off })
				b := s.browser()
				d := b.visit("POST", "/api/session", `{"ttlMs":600000}`).expect(201).document()
				s.clock.advance(9 * time.Minute)
				m.move(s, b, d.ID)
				s.clock.advance(10 * time.Second) // within the interval in which touches are put together
				b.visit(use.method, use.path, use.body, use.headers...).expect(use.status)
				until := s.client().do("GET", "/api/sessions/"+d.ID, "").expect(200).document().ExpiresAt
				name := m.how + ", " + use.name
				require.False(t, b.ends.Before(until), "%s: the cookie ends %v before the session", name, until.Sub(b.ends))
				again := b.visit(use.method, use.path, use.body, use.headers...).expect(use.status)
				if use.name != "touch" {
					assert.Empty(t, again.Header["Set-Cookie"], "%s: once is enough", name)
				}
				s.clock.advance(until.Sub(s.clock.Now()) - time.Millisecond)
				b.visit("GET", "/api/session?touch=false", "").expect(200)
			}
		}
	}
}

func TestABrowserThatKeepsComingKeepsItsCookie(t *testing.T) {
	s := start(t)
	b := s.browser()
	d := b.visit("POST", "/api/session", `{"ttlMs":600000}`).expect(201).document()
	// A service always touches a moment before, so that the browser's own reads
	// never move the deadline.
	for range 200 {
		s.clock.advance(30 * time.Second)
		s.client().do("POST", "/api/sessions/"+d.ID+"/touch", "").expect(200)
		b.visit("GET", "/api/session", "").expect(200)
	}
}

// An instance that does not know what another one has sent sends it once more.
func TestCookiesOfAnotherInstance(t *testing.T) {
	kept := memory.New(memory.Options{})
	instance := func() *service { return start(t, func(set *settings) { set.store = kept }) }
	one, two := instance(), instance()
	c := one.client()
	c.create("")
	assert.Empty(t, c.do("GET", "/api/session", "").expect(200).Header["Set-Cookie"])
	cookie := []string{"Cookie", cookieName + "=" + c.token()}
	assert.Len(t, two.client().do("GET", "/api/session", "", cookie...).expect(200).Header["Set-Cookie"], 1)
	assert.Empty(t, two.client().do("GET", "/api/session", "", cookie...).expect(200).Header["Set-Cookie"])
}

func TestCookiesAreNotSentForLess(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create("")
	for range 5 {
		for _, path := range []string{"/api/session", verify} {
			assert.Empty(t, c.do("GET", path, "").expect(200).Header["Set-Cookie"], "nothing has moved")
		}
		s.clock.advance(10 * time.Second)
	}
	// A life cut short needs no cookie: one that outlives its session opens nothing.
	s.client().do("POST", "/api/sessions/"+d.ID+"/touch", `{"ttlMs":60000}`).expect(200)
	assert.Empty(t, c.do("GET", "/api/session", "").expect(200).Header["Set-Cookie"])
	// But the browser whose own request cut it short has the shorter one.
	c.do("POST", "/api/session/touch", `{"ttlMs":30000}`).expect(200)
	s.client().do("POST", "/api/sessions/"+d.ID+"/touch", `{"ttlMs":60000}`).expect(200)
	assert.Len(t, c.do("GET", "/api/session", "").expect(200).Header["Set-Cookie"], 1)
}

func TestRetiredSecrets(t *testing.T) {
	next := []byte("the-next-secret-that-is-32-bytes-long")
	fresh := func(id string) string { return sign(id, string(next)) }
	for _, use := range everyUse {
		s := start(t)
		c := s.client()
		d := c.create("")
		bearer := []string{"Authorization", "Bearer " + sign(d.ID, secret)}
		require.Empty(t, s.client().do(use.method, use.path, use.body, bearer...).expect(200).Header["X-Session-Token"])
		require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{next, []byte(secret)}}))
		isVerify := strings.HasPrefix(use.path, verify)
		for range 2 { // the second time the token is known
			a := s.client().do(use.method, use.path, use.body, bearer...).expect(200)
			assert.Empty(t, a.Header["Set-Cookie"])
			if isVerify {
				assert.Empty(t, a.Header["X-Session-Token"], "never on verify")
				continue
			}
			assert.Equal(t, []string{fresh(d.ID)}, a.Header["X-Session-Token"], "%s %s", use.method, use.path)
		}
		a := s.client().do(use.method, use.path, use.body, "Authorization", "Bearer "+fresh(d.ID)).expect(200)
		assert.Empty(t, a.Header["X-Session-Token"], "a token of the present secret needs no other")

		a = c.do(use.method, use.path, use.body).expect(200)
		assert.Empty(t, a.Header["X-Session-Token"], "a cookie's token stays out of reach of scripts")
		plain, err := url.PathUnescape(c.token())
		require.NoError(t, err)
		assert.Equal(t, fresh(d.ID), plain, "it is sent signed anew")
		a = c.do("GET", "/api/session", "").expect(200)
		assert.Empty(t, a.Header["Set-Cookie"])
	}
}

func TestSecretsAreOutOfReach(t *testing.T) {
	s := start(t, withServiceTokens)
	assert.Zero(t, s.api.Secrets, "handlers have what signs and verifies, not the secrets")
	s.client().create("")
}

func TestRetiredSecretsInAGrace(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create("")
	c.do("POST", "/api/session/regenerate", `{"graceMs":60000}`).expect(200)
	require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{[]byte("the-next-secret-that-is-32-bytes-long"), []byte(secret)}}))
	for _, use := range everyUse {
		a := s.client().do(use.method, use.path, use.body, "Authorization", "Bearer "+sign(d.ID, secret)).expect(200)
		assert.Empty(t, a.Header["X-Session-Token"], "a token in its grace is not renewed")
		a = s.as(use.method, use.path, use.body, cookieName+"="+sign(d.ID, secret)).expect(200)
		assert.Empty(t, a.Header["Set-Cookie"])
	}
}
