package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/api"
)

// A script of the page asks for the token that its cookie keeps from it.
func TestTokensStayInTheirCookies(t *testing.T) {
	page := []string{"Origin", "http://localhost", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}
	for name, from := range map[string][]string{
		"a page": page, "an old browser's page": {"Origin", "http://localhost"}, "a page's GET": {"Sec-Fetch-Site", "same-origin"}, "a program": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := s.client()
			c.create("")
			for _, path := range []string{"/api/session/regenerate", "/api/session"} {
				from := from
				if len(from) > 0 && from[0] == "Origin" {
					from = append([]string{"Origin", s.url}, from[2:]...)
				}
				a := c.do("POST", path+"?transport=bearer", "", from...)
				a.problem(403, "transport_forbidden")
				assert.Empty(t, a.Header["Set-Cookie"])
				assert.NotContains(t, string(a.body), "s:")
			}
			c.do("GET", "/api/session", "").expect(200)
			c.do("POST", "/api/session/regenerate?transport=cookie", "").expect(200)

			// A page without a session in a cookie keeps its own token.
			c.do("DELETE", "/api/session", "").expect(204)
			made := s.client().do("POST", "/api/session?transport=bearer", "", "Cookie", cookieName+"=s%3Anonsense").expect(201)
			token := []string{"Authorization", "Bearer " + made.document().Token}
			again := s.client().do("POST", "/api/session/regenerate?transport=bearer", "", append(token, page...)...).expect(200)
			assert.NotEmpty(t, again.document().Token)
		})
	}

	t.Run("a bearer token beside the cookie of its session", func(t *testing.T) {
		s := start(t)
		c := s.client()
		c.create("")
		both := []string{"Cookie", cookieName + "=" + c.token(), "Authorization", "Bearer " + c.token()}
		s.client().do("POST", "/api/session/regenerate?transport=bearer", "", append(both, "Sec-Fetch-Site", "same-origin")...).problem(403, "transport_forbidden")
		s.client().do("POST", "/api/session/regenerate?transport=bearer", "", both...).expect(200)
	})
}

// An img of another site starts no session, and uses up nothing.
func TestSubresourcesOfOtherSitesUseUpNoCreations(t *testing.T) {
	s := start(t, autoCreating, func(set *settings) { set.CreatePerMinute = 2 })
	for _, mode := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
	} {
		for range 3 {
			a := s.client().do("GET", "/api/session", "", mode...)
			a.problem(401, "no_credential")
			assert.Empty(t, a.Header["Set-Cookie"])
			assert.Empty(t, a.Header["X-Ratelimit-Limit"], "it is not counted")
		}
	}
	for range 2 {
		s.client().do("GET", "/api/session", "").expect(200)
	}
	s.client().do("GET", "/api/session", "").problem(429, "rate_limited")
}

// A page has its own name point to this service (DNS rebinding), and is of the
// same origin then.
func TestDNSRebinding(t *testing.T) {
	paths := []string{"/api/sessions", "/api/sessions/count", "/api/session", "/api/session/stats", "/stats", "/", "/docs", "/openapi.yaml", "/nowhere"}
	ask := func(s *service, path, host string) *answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		assert.NoError(t, err)
		r.Host = host
		r.Header.Set("X-Forwarded-Host", "localhost")
		resp, err := http.DefaultClient.Do(r)
		assert.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		assert.NoError(t, err)
		assert.NoError(t, resp.Body.Close())
		return &answer{t: t, Response: resp, body: body}
	}
	foreign := []string{
		"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "192.168.0.9:8080", "10.0.0.1",
		"[2001:db8::1]:8080", "0.0.0.0", "x", "localhost:80:80.evil.example", "::2",
	}
	local := []string{
		"localhost", "LOCALHOST:8080", "localhost.", "app.localhost:3000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]",
	}
	t.Run("open service routes", func(t *testing.T) {
		s := start(t, func(set *settings) { set.Host = "192.0.2.7" })
		for _, host := range foreign {
			for _, path := range paths {
				ask(s, path, host).problem(421, "misdirected_request")
			}
			for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
				ask(s, path, host).expect(200)
			}
			ask(s, verify, host).problem(401, "no_credential")
		}
		for _, host := range append(local, "192.0.2.7:8080") {
			ask(s, "/api/sessions", host).expect(200)
		}
		assert.Equal(t, 1, strings.Count(s.log.String(), `"host":"evil.example"`))
		assert.Contains(t, s.log.String(), "ALLOWED_HOSTS")
	})

	t.Run("with service tokens", func(t *testing.T) {
		s := start(t, withServiceTokens)
		ask(s, "/", "evil.example").expect(200)
		assert.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{[]byte(secret)}}))
		ask(s, "/", "evil.example").problem(421, "misdirected_request")
	})

	t.Run("allowed hosts", func(t *testing.T) {
		for _, change := range []func(*settings){withServiceTokens, func(*settings) {}} {
			s := start(t, change, func(set *settings) { set.AllowedHosts = []string{"App.Example", "*.shop.example", "2001:db8::1"} })
			for _, host := range append(local, "app.example", "APP.example:443", "app.example.", "a.shop.example", "a.b.shop.example:1", "[2001:db8::1]:8080") {
				ask(s, "/", host).expect(200)
			}
			for _, host := range []string{"evil.example", "shop.example", "ashop.example", "a.app.example", ".shop.example", "10.0.0.1"} {
				ask(s, "/", host).problem(421, "misdirected_request")
			}
		}
	})
}

func TestAnswersStayOutOfOtherSitesPages(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/", "/docs", "/docs/docs.js", "/favicon.ico", "/api/session", "/stats", "/metrics", "/healthz", "/nowhere", verify} {
		a := s.client().do("GET", path, "", "Accept", "text/html")
		assert.Equal(t, []string{"same-origin"}, a.Header["Cross-Origin-Resource-Policy"], path)
		if path == "/" || path == "/docs" {
			assert.Equal(t, []string{"same-origin"}, a.Header["Cross-Origin-Opener-Policy"], path)
			assert.Equal(t, []string{"no-referrer"}, a.Header["Referrer-Policy"], path)
			policy := a.Header.Get("Content-Security-Policy")
			assert.Contains(t, policy, "frame-ancestors 'none'", path)
			assert.Contains(t, policy, "default-src 'none'", path)
			assert.NotContains(t, policy, "unsafe", path)
		}
	}
}
