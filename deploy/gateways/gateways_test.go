package gateways_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const editor = `{"user":{"id":"u-1","email":"ada@example.org","roles":["editor","größe"]}}`

// folded is a header's name as CGI, WSGI and PHP know it.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// identity is who a request to the application is of, whatever it takes for
// the same header.
func identity(header http.Header) map[string][]string {
	found := map[string][]string{}
	for name, values := range header {
		switch f := folded(name); f {
		case "x_session_id", "x_user_id", "x_user_email", "x_user_roles", "x_user_incomplete", "x_auth_time", "x_auth_level", "x_auth_methods":
			for _, v := range values {
				if v != "" { // as good as absent
					found[f] = append(found[f], v)
				}
			}
		}
	}
	return found
}

// idOf is the session that a cookie is of.
func idOf(cookie string) string {
	_, token, _ := strings.Cut(cookie, "s%3A")
	id, _, _ := strings.Cut(token, ".")
	return id
}

func TestNobodyGetsThrough(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		ended := g.sessions.signIn(t, editor)
		direct, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, g.sessions.URL+"/api/session", http.NoBody)
		require.NoError(t, err)
		direct.Header.Set("Cookie", ended)
		resp, err := g.sessions.Client().Do(direct)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		for name, headers := range map[string][]string{
			"no cookie":      nil,
			"an ended one":   {"Cookie", ended},
			"a forged one":   {"Cookie", cookieName + "=s%3A" + strings.Repeat("a", 64) + "." + strings.Repeat("A", 43)},
			"a forged name":  {"X-User-Id", "root", "X-Session-Id", "x"},
			"contradictions": {"Cookie", cookieName + "=a; " + cookieName + "=b"},
		} {
			for _, target := range []string{"/", "/orders?role=editor", "/admin/x", "/x/api/session", "/api/sessions", "/api/session/verify", "/api/session/stats"} {
				for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"} {
					a := g.do(method, target, strings.NewReader("body"), headers...)
					require.Equal(t, http.StatusUnauthorized, a.status, "%s: %s %s", name, method, target)
				}
			}
		}
		a := g.do("GET", "/", http.NoBody)
		assert.Equal(t, `Bearer realm="session-api"`, a.header.Get("Www-Authenticate"))
		assert.Empty(t, g.app.take(), "the application was never asked")
	})
}

func TestSomebodyIsNamed(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		want := map[string][]string{
			"x_session_id": {idOf(cookie)}, "x_user_id": {"u-1"}, "x_user_email": {"ada@example.org"}, "x_user_roles": {"editor,gr%C3%B6%C3%9Fe"},
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			a := g.do(method, "/orders/7?page=2&x=%2F", http.NoBody, "Cookie", cookie)
			require.Equal(t, http.StatusOK, a.status, method)
			got := g.app.take()
			require.Len(t, got, 1)
			assert.Equal(t, method, got[0].method)
			assert.Equal(t, "/orders/7?page=2&x=%2F", got[0].target)
			assert.Equal(t, want, identity(got[0].header))
		}
		bearer := strings.ReplaceAll(strings.TrimPrefix(cookie, cookieName+"="), "%3A", ":")
		assert.Equal(t, http.StatusOK, g.do("GET", "/", http.NoBody, "Authorization", "Bearer "+bearer).status)
		assert.Equal(t, want, identity(g.app.take()[0].header))
	})
}

// What a client says of itself never arrives, under no name that a server may
// take for one of the headers; least where the service has nothing to say.
func TestForgedIdentityIsReplaced(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		for document, user := range map[string]map[string][]string{
			editor:                  {"x_user_id": {"u-1"}, "x_user_email": {"ada@example.org"}, "x_user_roles": {"editor,gr%C3%B6%C3%9Fe"}},
			`{"user":{"id":"u-2"}}`: {"x_user_id": {"u-2"}},
			`{"user":{"id":"u-3","auth":{"time":"2026-01-31T23:59:59Z","methods":["pwd","otp"],"level":"aal2"}}}`: {
				"x_user_id": {"u-3"}, "x_auth_time": {"2026-01-31T23:59:59.000Z"}, "x_auth_level": {"aal2"}, "x_auth_methods": {"pwd,otp"},
			},
			`{"inputs":{"anonymous":1}}`: {},
		} {
			cookie := g.sessions.signIn(t, document)
			user["x_session_id"] = []string{idOf(cookie)}
			forged := []string{"Cookie", cookie}
			for _, name := range []string{"X-Session-Id", "X-User-Id", "X-User-Email", "X-User-Roles", "X-User-Incomplete", "X-Auth-Time", "X-Auth-Level", "X-Auth-Methods"} {
				forged = append(forged, name, "forged", name, "twice", strings.ToLower(name), "lower", strings.ToUpper(name), "upper")
				for _, sign := range "!#$%&'*+.^_`|~" {
					forged = append(forged, strings.ReplaceAll(name, "-", string(sign)), "forged", strings.Replace(name, "-", string(sign), 1), "forged")
				}
			}
			for _, target := range []string{"/", "/orders"} {
				require.Equal(t, http.StatusOK, g.do("POST", target, strings.NewReader("x"), forged...).status)
				got := g.app.take()
				require.Len(t, got, 1)
				assert.Equal(t, user, identity(got[0].header))
			}
			require.Equal(t, http.StatusOK, g.do("GET", "/public/x", http.NoBody, forged...).status)
			assert.Empty(t, identity(g.app.take()[0].header), "where nobody was asked, nobody is named")

			// Headers that Connection names end at the gateway: absent, then, but not forged.
			require.Equal(t, http.StatusOK, g.do("GET", "/", http.NoBody, append(forged, "Connection", "X-User-Id, X-User-Roles, X-Session-Id, X-User-Email")...).status)
			for name, values := range identity(g.app.take()[0].header) {
				assert.Equal(t, user[name], values)
			}
		}
	})
}

func TestBodiesPassWhole(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
		for name, body := range map[string]io.Reader{
			"with a length":    strings.NewReader(large),
			"chunked":          io.MultiReader(strings.NewReader(large[:1<<19]), strings.NewReader(large[1<<19:])),
			"of another site":  strings.NewReader(large),
			"that is expected": strings.NewReader(large),
		} {
			headers := []string{"Cookie", cookie, "Content-Type", "application/octet-stream"}
			switch name {
			case "of another site":
				headers = append(headers, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")
			case "that is expected":
				headers = append(headers, "Expect", "100-continue")
			}
			a := g.do("POST", "/upload?x=1", body, headers...)
			require.Equal(t, http.StatusOK, a.status, name)
			got := g.app.take()
			require.Len(t, got, 1)
			assert.Equal(t, "/upload?x=1", got[0].target)
			assert.Equal(t, "application/octet-stream", got[0].header.Get("Content-Type"))
			assert.Equal(t, sha256.Sum256([]byte(large)), sha256.Sum256([]byte(got[0].body)), name)
		}
		a := g.do("POST", "/upload", strings.NewReader("a body"))
		assert.Equal(t, http.StatusUnauthorized, a.status)
		assert.Empty(t, g.app.take())
	})
}

func TestRoles(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		for _, target := range []string{
			"/admin/", "/admin/x", "/admin/x?role=editor", "/admin/&role=editor", "/admin/x?a=b&role=editor", "/admin/%3Frole=editor", "/admin/x;role=editor",
			"/admin", "/admin?role=editor", "/admin.html", "/admin;x", "/ADMIN/x", "/Admin", "/public/../admin/x", "/public/../admin", "/x/./../admin/x", "/%61dmin/x", "/x/..%2fadmin/x", "/public/..%2fadmin/x", "/public/%2e%2e/admin/x",
		} {
			assert.Equal(t, http.StatusForbidden, g.get(target, cookie).status, target)
			assert.Equal(t, http.StatusUnauthorized, g.do("GET", target, http.NoBody).status, target)
		}
		// Two slashes are one for some servers.
		g.get("//admin/x", cookie)
		for _, got := range g.app.take() {
			assert.False(t, strings.HasPrefix(path.Clean(got.target), "/admin"), got.target)
		}
		admin := g.sessions.signIn(t, `{"user":{"id":"u-3","roles":["admin"]}}`)
		assert.Equal(t, http.StatusOK, g.get("/admin/x?role=editor", admin).status)
		assert.Equal(t, map[string][]string{"x_session_id": {idOf(admin)}, "x_user_id": {"u-3"}, "x_user_roles": {"admin"}}, identity(g.app.take()[0].header))
	})
}

// A store that is down, one that hangs, a service that is gone: the gateway
// says that something is wrong, and lets nobody through.
func TestNothingGetsThroughWithoutTheStore(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		failure := map[string]int{"nginx": http.StatusInternalServerError, "caddy": http.StatusServiceUnavailable}[g.name]
		cookie := g.sessions.signIn(t, editor)
		g.sessions.store.down.Store(true)
		assert.Equal(t, failure, g.get("/", cookie).status)
		assert.Equal(t, failure, g.get("/admin/", cookie).status)
		g.sessions.store.hangs.Store(true)
		assert.Equal(t, failure, g.get("/", cookie).status)
		assert.Equal(t, http.StatusUnauthorized, g.get("/", "").status, "for this the store is not needed")
		assert.Empty(t, g.app.take())

		g.sessions.store.down.Store(false)
		g.sessions.store.hangs.Store(false)
		assert.Equal(t, http.StatusOK, g.get("/", cookie).status)
		assert.Len(t, g.app.take(), 1)

		g.sessions.CloseClientConnections()
		g.sessions.Close()
		assert.GreaterOrEqual(t, g.get("/", cookie).status, 500)
		assert.Empty(t, g.app.take())
	})
}

func TestTheCookieLivesAsLongAsTheSession(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		assert.Equal(t, map[string]string{"theme": "dark"}, g.get("/", cookie).cookies(), "nothing has moved")
		g.sessions.ahead.Store(int64(time.Hour))
		a := g.do("GET", "/", http.NoBody, "Cookie", cookie, "Session-Set-Cookie", cookieName+"=forged")
		assert.Equal(t, map[string]string{"theme": "dark", cookieName: strings.TrimPrefix(cookie, cookieName+"=")}, a.cookies())
		for _, line := range a.header["Set-Cookie"] {
			if strings.HasPrefix(line, cookieName) {
				for _, attribute := range []string{"; Path=/", "; Max-Age=86400", "; HttpOnly", "; SameSite=Lax"} {
					assert.Contains(t, line, attribute)
				}
			}
		}
		g.sessions.ahead.Store(int64(2 * time.Hour))
		a = g.get("/missing", cookie)
		assert.Equal(t, http.StatusNotFound, a.status)
		assert.Contains(t, a.cookies(), cookieName, "whatever the application answers")
		g.app.take()
		forged := g.do("GET", "/", http.NoBody, "Cookie", cookie, "Session-Set-Cookie", cookieName+"=forged")
		assert.Equal(t, map[string]string{"theme": "dark"}, forged.cookies())
		if g.name == "caddy" { // which takes it there and back
			assert.NotContains(t, g.app.take()[0].header, "Session-Set-Cookie")
		}
	})
}

// A connection for each question would cost more than the answer.
func TestConnectionsAreKept(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		before := g.sessions.connections.Load()
		for range 20 {
			assert.Equal(t, http.StatusOK, g.get("/", cookie).status)
			assert.Equal(t, http.StatusOK, g.do("POST", "/", strings.NewReader("a body"), "Cookie", cookie).status)
			assert.Equal(t, http.StatusUnauthorized, g.do("POST", "/", strings.NewReader("a body")).status)
			assert.Equal(t, http.StatusForbidden, g.get("/admin/", cookie).status)
		}
		assert.LessOrEqual(t, g.sessions.connections.Load()-before, int64(2), "one for each place that asks")
	})
}

// Pages reach their session through the gateway, and nothing else of the
// service.
func TestPagesReachTheirSession(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		made := g.do("POST", "/api/session", strings.NewReader(editor), "Content-Type", "application/json")
		require.Equal(t, http.StatusCreated, made.status, made.body)
		cookie := cookieName + "=" + made.cookies()[cookieName]
		read := g.do("GET", "/api/session", http.NoBody, "Cookie", cookie, "Accept-Encoding", "gzip")
		require.Equal(t, http.StatusOK, read.status)
		changed := g.do("PUT", "/api/session", strings.NewReader(`{"meta":{"a":1}}`), "Cookie", cookie,
			"Content-Type", "application/json", "If-Match", read.header.Get("Etag"), "Origin", g.url)
		require.Equal(t, http.StatusOK, changed.status, changed.body)
		assert.NotEqual(t, read.header.Get("Etag"), changed.header.Get("Etag"))
		assert.Regexp(t, `^"`, changed.header.Get("Etag"), "strong")
		assert.Equal(t, http.StatusForbidden, g.do("PUT", "/api/session", strings.NewReader(`{}`), "Cookie", cookie,
			"Content-Type", "application/json", "Origin", "https://elsewhere.example").status)
		assert.Equal(t, http.StatusOK, g.do("POST", "/api/session/touch", http.NoBody, "Cookie", cookie).status)

		asked := g.sessions.asked.Load()
		require.Empty(t, g.app.take())
		for _, target := range []string{"/api/sessions", "/api/sessions?all=true", "/api/session/stats", "/stats", "/metrics", "/api/export", "/api/events", "/api/session/../sessions", "/api/session%2fstats"} {
			g.do("DELETE", target, http.NoBody, "Cookie", cookie)
			g.get(target, cookie)
		}
		assert.Equal(t, asked, g.sessions.asked.Load(), "they are the application's paths")
		for _, target := range []string{
			"/api/sessions/..%2fsession", "/metrics/../api/session", "/docs/..%2f..%2fapi%2fsession", "/api/cleanup/..%2f../api/session/touch",
			"/api/session%0a", "/api/session%00", "/API/SESSIONS", "/Api/Session", "//api/session", "/api//sessions/../session", "/api/session;x", "/api/session/touch/",
		} {
			for _, method := range []string{"GET", "DELETE", "OPTIONS"} {
				g.do(method, target, http.NoBody, "Cookie", cookie, "Origin", pageOrigin, "Access-Control-Request-Method", "GET")
			}
		}
		assert.Zero(t, g.sessions.inside.Load(), "however they are written")
		for _, target := range []string{"/_session", "/_session/admin", "/_session/x"} {
			if g.name == "nginx" {
				assert.Equal(t, http.StatusNotFound, g.get(target, cookie).status)
			}
		}
	})
}

func TestPagesSendNobodyToSignIn(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		a := g.do("GET", "/pages/x?a=b", http.NoBody)
		assert.Equal(t, http.StatusFound, a.status)
		to := strings.TrimPrefix(a.header.Get("Location"), g.url) // nginx makes it absolute
		assert.Equal(t, "/public/sign-in?next=/pages/x?a=b", to)
		assert.Empty(t, g.app.take())
		cookie := g.sessions.signIn(t, editor)
		assert.Equal(t, http.StatusOK, g.get("/pages/x?a=b", cookie).status)
		require.Equal(t, []string{"u-1"}, identity(g.app.take()[0].header)["x_user_id"])
		g.sessions.store.down.Store(true)
		assert.GreaterOrEqual(t, g.get("/pages/x", cookie).status, 500, "who is somebody is not sent to sign in again")
		assert.Empty(t, g.app.take())
	})
}
