package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// as sends a request with these Cookie headers.
func (s *service) as(method, path, body string, cookies ...string) *answer {
	s.t.Helper()
	var headers []string
	for _, line := range cookies {
		headers = append(headers, "Cookie", line)
	}
	return s.client().do(method, path, body, headers...)
}

// everyUse are the requests that need a live session.
var everyUse = []struct{ method, path, body string }{
	{"GET", "/api/session", ""},
	{"HEAD", "/api/session", ""},
	{"PUT", "/api/session", `{"meta":{"a":1}}`},
	{"PATCH", "/api/session", `{"meta":{"a":2}}`},
	{"POST", "/api/session/operations", `[{"op":"add","path":"/meta/b","value":1}]`},
	{"POST", "/api/session/touch", ""},
	{"POST", "/api/session/touch", `{"ttlMs":3600000}`},
	{"GET", verify, ""},
	{"POST", verify + "/some/path", ""},
}

func TestTheCookieThatOpensASessionCounts(t *testing.T) {
	s := start(t)
	pair := func(value string) string { return cookieName + "=" + value }
	ended := s.client()
	ended.create("")
	dead := ended.token()
	ended.do("DELETE", "/api/session", "").expect(204)
	crowd := strings.Repeat(pair("s:"+strings.Repeat("a", 32)+"."+strings.Repeat("A", 43))+"; ", 50)

	for name, cookies := range map[string]func(good string) []string{
		"badly signed first": func(good string) []string { return []string{pair(good[:len(good)-1]+"x") + "; " + pair(good)} },
		"badly signed last":  func(good string) []string { return []string{pair(good) + "; " + pair(good[:len(good)-1]+"x")} },
		"another deployment": func(good string) []string {
			return []string{pair(sign(schema.NewID(), "another-deployments-secret-32-bytes")) + "; " + pair(good)}
		},
		"malformed": func(good string) []string {
			return []string{pair("") + ";" + pair("a b,\"") + "; " + pair(good) + ";" + cookieName}
		},
		"ended first":    func(good string) []string { return []string{pair(dead) + "; " + pair(good)} },
		"ended last":     func(good string) []string { return []string{pair(good) + "; " + pair(dead)} },
		"never stored":   func(good string) []string { return []string{pair(sign(schema.NewID(), secret)) + "; " + pair(good)} },
		"in two headers": func(good string) []string { return []string{pair(dead), "a=b; " + pair(good)} },
		"twice, two spellings": func(good string) []string {
			plain, _ := url.PathUnescape(good)
			return []string{pair(good) + "; " + pair(plain) + "; " + pair(`"`+plain+`"`)}
		},
		"after fifty forged": func(good string) []string { return []string{crowd + pair(good)} },
		"after seven of ours": func(good string) []string {
			return []string{manySigned(7) + pair(good)}
		},
		"quoted by Java":    func(good string) []string { return []string{`$Version="1"; ` + pair(`"`+good+`"`) + `;$Path="/"`} },
		"quoted by aiohttp": func(good string) []string { return []string{`x="a b"; ` + pair(`"`+good+`"`)} },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client()
			d := c.create("")
			for _, use := range everyUse {
				a := s.as(use.method, use.path, use.body, cookies(c.token())...)
				require.Equal(t, 200, a.StatusCode, "%s %s: %s", use.method, use.path, a.body)
				switch {
				case strings.HasPrefix(use.path, verify):
					assert.Equal(t, d.ID, a.Header.Get("X-Session-Id"))
				case use.method != "HEAD":
					assert.Equal(t, d.ID, a.document().ID)
				}
			}
			got := s.as("GET", "/api/session", "", pair(c.token())).expect(200).document()
			assert.JSONEq(t, `{"a":2,"b":1}`, string(got.Meta))
		})
	}
}

// kinds are settings, and the kinds of cookies that they may have left behind.
var kinds = map[string]struct {
	cookie  api.Cookie
	expired []string // what ends each, in any order
	other   int      // how many are not the present one
}{
	"plain":  {api.Cookie{Name: cookieName, SameSite: http.SameSiteLaxMode}, []string{"host"}, 0},
	"secure": {api.Cookie{Name: "__Host-sid", Secure: true, SameSite: http.SameSiteLaxMode}, []string{"host", "host partitioned"}, 1},
	"domain": {api.Cookie{Name: cookieName, Domain: "example.com", SameSite: http.SameSiteLaxMode}, []string{"host", "domain"}, 1},
	"secure domain": {
		api.Cookie{Name: "__Secure-sid", Domain: "example.com", Secure: true, SameSite: http.SameSiteLaxMode},
		[]string{"host", "domain", "host partitioned", "domain partitioned"},
		3,
	},
	"partitioned": {
		api.Cookie{Name: "sid", Secure: true, Partitioned: true, SameSite: http.SameSiteNoneMode},
		[]string{"host", "host partitioned"},
		1,
	},
}

// kindsOf says which kinds of cookie an answer sets, and which it expires.
func kindsOf(t *testing.T, name string, a *answer) (set, expired []string) {
	t.Helper()
	for i, c := range a.Cookies() {
		require.Equal(t, name, c.Name)
		assert.Equal(t, "/", c.Path)
		kind := "host"
		if c.Domain != "" {
			kind = "domain"
		}
		if c.Partitioned {
			kind += " partitioned"
		}
		if c.MaxAge >= 0 {
			set = append(set, kind)
			assert.Len(t, a.Cookies(), i+1, "what sets comes last: for some clients the host's is the domain's")
			continue
		}
		assert.Empty(t, c.Value)
		assert.True(t, c.Expires.Equal(time.Unix(0, 0)), "for clients that know no Max-Age")
		expired = append(expired, kind)
	}
	return set, expired
}

func TestTwoCookiesOfLiveSessions(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) { set.Cookie = k.cookie })
			twins := func() (both string, one, two string) {
				one, two = s.tokenOfNew(), s.tokenOfNew()
				return k.cookie.Name + "=" + one + "; " + k.cookie.Name + "=" + two, one, two
			}
			live := func(token string) bool {
				return s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+token).StatusCode == http.StatusOK
			}
			for _, use := range everyUse {
				both, one, two := twins()
				a := s.as(use.method, use.path, use.body, both)
				want := 400
				if strings.HasPrefix(use.path, verify) {
					want = 401
				}
				require.Equal(t, want, a.StatusCode, "%s %s: %s", use.method, use.path, a.body)
				set, expired := kindsOf(t, k.cookie.Name, a)
				assert.Empty(t, set)
				assert.ElementsMatch(t, k.expired, expired)
				assert.True(t, live(one) && live(two), "it ends neither")
			}

			both, one, two := twins()
			a := s.as("POST", "/api/session", "", both).expect(201)
			set, expired := kindsOf(t, k.cookie.Name, a)
			assert.Len(t, set, 1)
			assert.Len(t, expired, k.other)
			assert.NotContains(t, expired, set[0])
			assert.False(t, live(one) || live(two), "it takes the place of both")

			both, one, two = twins()
			a = s.as("DELETE", "/api/session", "", both).expect(204)
			_, expired = kindsOf(t, k.cookie.Name, a)
			assert.ElementsMatch(t, k.expired, expired)
			assert.False(t, live(one) || live(two))

			_, expired = kindsOf(t, k.cookie.Name, s.client().do("DELETE", "/api/session", ""))
			assert.ElementsMatch(t, k.expired, expired, "also where none came")
			set, expired = kindsOf(t, k.cookie.Name, s.client().do("POST", "/api/session", ""))
			assert.Len(t, set, 1)
			assert.Empty(t, expired, "a first visit has nothing to expire")
			set, expired = kindsOf(t, k.cookie.Name, s.as("POST", "/api/session", "", k.cookie.Name+"="+two))
			assert.Len(t, set, 1)
			assert.Len(t, expired, k.other, "the one that came may be of another kind")
		})
	}
}

// tokenOfNew is the token of a new session.
func (s *service) tokenOfNew() string {
	s.t.Helper()
	return s.client().do("POST", "/api/session?transport=bearer", "").expect(201).document().Token
}

func TestSigningOutOfTwoWithAnETag(t *testing.T) {
	s := start(t)
	one, two := s.client(), s.client()
	one.create("")
	two.create("")
	two.do("PATCH", "/api/session", `{"meta":{"a":1}}`).expect(200)
	etag := two.do("GET", "/api/session", "").expect(200).Header.Get("ETag")
	both := cookieName + "=" + one.token() + "; " + cookieName + "=" + two.token()
	s.client().do("DELETE", "/api/session", "", "Cookie", both, "If-Match", `"another"`).problem(412, "precondition_failed")
	one.do("HEAD", "/api/session", "").expect(200)
	two.do("HEAD", "/api/session", "").expect(200)
	s.client().do("DELETE", "/api/session", "", "Cookie", both, "If-Match", etag).expect(204)
	one.do("HEAD", "/api/session", "").expect(401)
	two.do("HEAD", "/api/session", "").expect(401)
}

func TestCreatingInPlaceOfTwoWhereUsersAreLimited(t *testing.T) {
	s := start(t, func(set *settings) { set.limit = store.UserLimit{Max: 2} })
	const ada = `{"user":{"id":"ada"}}`
	one, two := s.client(), s.client()
	one.create(ada)
	two.create(ada)
	s.client().do("POST", "/api/session", ada).problem(409, "user_limit")
	both := cookieName + "=" + one.token() + "; " + cookieName + "=" + two.token()
	s.as("POST", "/api/session", ada, both).expect(201)

	three := s.client()
	three.create(ada)
	old := cookieName + "=" + three.token()
	three.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200)
	s.as("POST", "/api/session", ada, old).expect(201)
	three.do("GET", "/api/session", "").problem(401, "unauthorized")
}

// peeks counts what a store is asked.
type peeks struct {
	*memory.Store
	n atomic.Int64
}

func (p *peeks) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	p.n.Add(1)
	return p.Store.Peek(ctx, now, key)
}

func (p *peeks) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	p.n.Add(1)
	return p.Store.Get(ctx, now, key)
}

func TestHowManyCookiesAreLookedAt(t *testing.T) {
	counting := &peeks{Store: memory.New(memory.Options{})}
	s := start(t, func(set *settings) { set.store = counting })
	good := s.tokenOfNew()
	for name, c := range map[string]struct {
		cookies string
		most    int64
		status  int
	}{
		"one":                {cookieName + "=" + good, 1, 200},
		"one and junk":       {strings.Repeat(cookieName+"=x; ", 100) + cookieName + "=" + good, 1, 200},
		"the same, again":    {strings.Repeat(cookieName+"="+good+"; ", 20), 1, 200},
		"an old one and it":  {cookieName + "=" + sign(schema.NewID(), secret) + "; " + cookieName + "=" + good, 3, 200},
		"many that verify":   {manySigned(40), 9, 401},
		"it among the first": {manySigned(7) + cookieName + "=" + good, 9, 200},
	} {
		for _, path := range []string{"/api/session", verify} {
			before := counting.n.Load()
			assert.Equal(t, c.status, s.as("GET", path, "", c.cookies).StatusCode, name)
			assert.LessOrEqual(t, counting.n.Load()-before, c.most, "%s, %s", name, path)
		}
	}
}

// manySigned are cookies of sessions that there are not.
func manySigned(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%s=%s; ", cookieName, sign(schema.NewID(), secret))
	}
	return b.String()
}

func TestCookieBesideABearerToken(t *testing.T) {
	s := start(t)
	mine, other := s.tokenOfNew(), s.tokenOfNew()
	dead := s.tokenOfNew()
	s.client().do("DELETE", "/api/session", "", "Authorization", "Bearer "+dead).expect(204)
	for name, c := range map[string]struct {
		cookies, bearer string
		status          int
	}{
		"the same":                      {cookieName + "=" + mine, mine, 200},
		"the same, in another spelling": {cookieName + "=" + url.QueryEscape(mine), mine, 200},
		"another live one":              {cookieName + "=" + other, mine, 400},
		"beside a bearer of nothing":    {cookieName + "=" + mine, dead, 400},
		"beside a forged bearer":        {cookieName + "=" + mine, mine[:len(mine)-1] + "x", 400},
		"a dead one":                    {cookieName + "=" + dead, mine, 200},
		"a malformed one":               {cookieName + "=x", mine, 200},
		"two, one of them another":      {cookieName + "=" + mine + "; " + cookieName + "=" + other, mine, 400},
		"both dead":                     {cookieName + "=" + dead, dead, 401},
	} {
		for _, use := range everyUse {
			a := s.client().do(use.method, use.path, use.body, "Cookie", c.cookies, "Authorization", "Bearer "+c.bearer)
			want := c.status
			if want == 400 && strings.HasPrefix(use.path, verify) {
				want = 401
			}
			assert.Equal(t, want, a.StatusCode, "%s, %s %s: %s", name, use.method, use.path, a.body)
			assert.Empty(t, a.Header["Set-Cookie"], "%s: a bearer's cookies are not its browser's to lose", name)
		}
	}
}

// A jar sends what a browser would: these are sites that changed their settings,
// and two hosts of one domain.
func TestLiveSitesThatChangeTheirCookies(t *testing.T) {
	app := &url.URL{Scheme: "https", Host: "app.example.com", Path: "/"}
	for name, c := range map[string]struct{ before, after api.Cookie }{
		"COOKIE_DOMAIN is introduced": {
			api.Cookie{Name: "sid", Secure: true}, api.Cookie{Name: "sid", Secure: true, Domain: "example.com"},
		},
		"COOKIE_DOMAIN is the host": {
			api.Cookie{Name: "sid", Secure: true}, api.Cookie{Name: "sid", Secure: true, Domain: "app.example.com"},
		},
		"COOKIE_DOMAIN goes": {
			api.Cookie{Name: "sid", Secure: true, Domain: "example.com"}, api.Cookie{Name: "sid", Secure: true},
		},
		"COOKIE_PARTITIONED is turned on": {
			api.Cookie{Name: "sid", Secure: true, SameSite: http.SameSiteNoneMode},
			api.Cookie{Name: "sid", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := memory.New(memory.Options{})
			with := func(cookie api.Cookie) *service {
				return start(t, func(set *settings) { set.store, set.Cookie = kept, cookie })
			}
			before, after := with(c.before), with(c.after)
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			visit := func(s *service, method, path, body string) *answer {
				var lines []string
				for _, cookie := range jar.Cookies(app) {
					lines = append(lines, cookie.String())
				}
				headers := []string{"Cookie", strings.Join(lines, "; ")}
				if lines == nil {
					headers = nil
				}
				a := s.client().do(method, path, body, headers...)
				jar.SetCookies(app, a.Cookies())
				return a
			}

			d := visit(before, "POST", "/api/session", `{"meta":{"a":1}}`).expect(201).document()
			assert.Equal(t, d.ID, visit(after, "GET", "/api/session", "").expect(200).document().ID, "who is signed in stays so")
			after.clock.advance(2 * time.Minute)
			visit(after, "GET", "/api/session", "").expect(200)
			visit(after, "PATCH", "/api/session", `{"meta":{"b":1}}`).expect(200)
			visit(after, "GET", verify, "").expect(200)
			d = visit(after, "POST", "/api/session/regenerate", "").expect(200).document()
			assert.Equal(t, d.ID, visit(after, "GET", "/api/session", "").expect(200).document().ID)
			d = visit(after, "POST", "/api/session", "").expect(201).document()
			assert.Equal(t, d.ID, visit(after, "GET", "/api/session", "").expect(200).document().ID)

			// A twin that came about all the same.
			jar.SetCookies(app, visit(before, "POST", "/api/session", "").expect(201).Cookies())
			another := after.client().do("POST", "/api/session", "").expect(201)
			jar.SetCookies(app, another.Cookies())
			if len(jar.Cookies(app)) > 1 {
				visit(after, "GET", "/api/session", "").problem(400, "conflicting_credentials")
			}
			visit(after, "GET", "/api/session", "")
			d = visit(after, "POST", "/api/session", "").expect(201).document()
			assert.Equal(t, d.ID, visit(after, "GET", "/api/session", "").expect(200).document().ID)
			visit(after, "DELETE", "/api/session", "").expect(204)
			assert.Equal(t, 401, visit(after, "GET", "/api/session", "").StatusCode)
		})
	}

	t.Run("a staging host beside production's domain", func(t *testing.T) {
		production := start(t, func(set *settings) { set.Cookie = api.Cookie{Name: "sid", Domain: "example.com"} })
		staging := start(t, func(set *settings) {
			set.Cookie = api.Cookie{Name: "sid"}
			set.Secrets.Session = [][]byte{[]byte("the-secret-of-staging-is-32-bytes!")}
		})
		theirs := production.client().do("POST", "/api/session", "").expect(201)
		ours := staging.client().do("POST", "/api/session", "", "Cookie", valueOf(theirs)).expect(201)
		_, expired := kindsOf(t, "sid", ours)
		assert.Empty(t, expired, "production's cookie is not staging's to expire")
		for _, both := range []string{valueOf(theirs) + "; " + valueOf(ours), valueOf(ours) + "; " + valueOf(theirs)} {
			assert.Equal(t, ours.document().ID, staging.as("GET", "/api/session", "", both).expect(200).document().ID)
			assert.Equal(t, theirs.document().ID, production.as("GET", "/api/session", "", both).expect(200).document().ID)
		}
	})
}

// valueOf is the cookie of an answer that sets one, as a browser sends it.
func valueOf(a *answer) string {
	a.t.Helper()
	cookies := a.Cookies()
	require.Len(a.t, cookies, 1)
	return cookies[0].Name + "=" + cookies[0].Value
}
