package api_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/token"
)

// tokenFor returns a service token that is known by its name, and what it is sent as.
func tokenFor(name string, scope token.Scope, namespaces ...string) token.Service {
	t := token.FullService(name, "the-secret-of-"+name)
	t.Scope, t.Namespaces = scope, namespaces
	return t
}

// bearerOf returns the header of a token of tokenFor.
func bearerOf(name string) []string { return []string{"Authorization", "Bearer the-secret-of-" + name} }

// with returns settings with service tokens.
func with(tokens ...token.Service) func(*settings) {
	return func(s *settings) {
		s.Secrets.Service = tokens
		s.VerifyTimeout = time.Minute // a busy machine is not what they are about
	}
}

var (
	reader = tokenFor("reader", token.ScopeRead)
	writer = tokenFor("writer", token.ScopeWrite)
	admin  = tokenFor("admin", token.ScopeAdmin)
)

// routeOf is a line of the route table.
type routeOf struct {
	method, path, scope string
	query               []string
}

// walk returns the routes of the route table, those of gateways aside.
func (s *service) walk() (routes []routeOf) {
	s.t.Helper()
	require.NoError(s.t, chi.Walk(s.api.Routes(), func(method, path string, handler http.Handler, _ ...func(http.Handler) http.Handler) error {
		if e, ok := handler.(*api.Endpoint); ok {
			routes = append(routes, routeOf{method, path, e.RequiredScope(), e.QueryParameters()})
		}
		return nil
	}))
	require.NotEmpty(s.t, routes)
	return routes
}

// serviceRoutes are those that ask for a scope.
func (s *service) serviceRoutes() []routeOf {
	s.t.Helper()
	return slices.DeleteFunc(s.walk(), func(r routeOf) bool { return r.scope == "" })
}

// ownRoutes are about the caller's own session.
func (s *service) ownRoutes() []routeOf {
	s.t.Helper()
	return slices.DeleteFunc(s.walk(), func(r routeOf) bool {
		own := r.path == "/api/session" || strings.HasPrefix(r.path, "/api/session/") || strings.HasPrefix(r.path, "/api/user/")
		return !own || r.scope != "" || r.path == "/api/session/stats"
	})
}

// Every operation that only a service token opens asks for the scope that the contract
// names.
func TestServiceTokens_contractNamesTheScopes(t *testing.T) {
	doc, err := loadContract()
	require.NoError(t, err)
	routes := map[string]string{}
	for _, r := range start(t).walk() {
		routes[r.method+" "+r.path] = r.scope
	}
	count := 0
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			said, _ := operation.Extensions["x-required-scope"].(string)
			if path == verify {
				continue
			}
			assert.Equal(t, routes[method+" "+path], said, "%s %s", method, path)
			if said == "" {
				continue
			}
			count++
			for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
				assert.NotNil(t, operation.Responses.Status(status), "%s %s does not say %d", method, path, status)
			}
		}
		for method, operation := range item.Operations() {
			if operation.Security == nil {
				continue
			}
			onlyServices := !slices.ContainsFunc(*operation.Security, func(one openapi3.SecurityRequirement) bool { _, ok := one["serviceToken"]; return !ok || len(one) > 1 })
			if onlyServices && len(*operation.Security) > 0 {
				assert.NotEmpty(t, operation.Extensions["x-required-scope"], "%s %s", method, path)
			}
		}
	}
	assert.Greater(t, count, 15)
}

// Each route, with each scope: 403 and the missing scope where it is too little, and
// anything else where it suffices.
func TestServiceTokens_scopes(t *testing.T) {
	s := start(t, with(reader, writer, admin))
	c := s.client()
	for _, r := range s.serviceRoutes() {
		required, ok := token.ParseScope(r.scope)
		require.True(t, ok)
		for _, one := range []token.Service{reader, writer, admin} {
			id := c.do("POST", "/api/sessions", "{}", bearerOf("admin")...).expect(201).json()["session"].(map[string]any)["id"].(string)
			path := strings.ReplaceAll(r.path, "{id}", id)
			if one.Scope < required {
				a := c.do(r.method, path, "", bearerOf(one.Name)...)
				if r.method == http.MethodHead {
					a.expect(403)
				} else {
					p := a.problem(403, "insufficient_scope")
					assert.Equal(t, "This request needs a service token with the scope "+r.scope+".", p.Detail)
				}
				assert.Equal(t, `Bearer error="insufficient_scope", scope="`+r.scope+`"`, a.Header.Get("WWW-Authenticate"))
				c.do("HEAD", "/api/sessions/"+id, "", bearerOf("admin")...).expect(200)
				continue
			}
			if r.method == http.MethodGet && r.path == "/api/events" {
				s.events("", bearerOf(one.Name)...).stop()
				continue
			}
			a := c.do(r.method, path, "", bearerOf(one.Name)...)
			assert.NotContains(t, []int{401, 403}, a.StatusCode, "%s %s with %s: %s", r.method, r.path, one.Scope, a.body)
			assert.NotEqual(t, 404, a.StatusCode, "%s %s with %s: %s", r.method, r.path, one.Scope, a.body)
		}
	}
}

// A read that touches is a write.
func TestServiceTokens_touchingRead(t *testing.T) {
	s := start(t, with(reader, writer))
	c := s.client()
	id := c.do("POST", "/api/sessions", "{}", bearerOf("writer")...).expect(201).json()["session"].(map[string]any)["id"].(string)
	c.do("GET", "/api/sessions/"+id, "", bearerOf("reader")...).expect(200)
	c.do("GET", "/api/sessions/"+id+"?touch=false", "", bearerOf("reader")...).expect(200)
	c.do("GET", "/api/sessions/"+id+"?touch=true", "", bearerOf("reader")...).problem(403, "insufficient_scope")
	c.do("GET", "/api/sessions/"+id+"?touch=true", "", bearerOf("writer")...).expect(200)
}

// Outside its namespaces a token finds nothing, whatever its scope and whatever is there.
func TestServiceTokens_namespaces(t *testing.T) {
	limited := []token.Service{
		tokenFor("shop-reader", token.ScopeRead, "shop"), tokenFor("shop-writer", token.ScopeWrite, "shop", "stall"), tokenFor("shop-admin", token.ScopeAdmin, "shop"),
	}
	s := start(t, with(append(limited, admin)...))
	c := s.client()
	create := func(space string) string {
		return c.do("POST", "/api/sessions?namespace="+space, "{}", bearerOf("admin")...).expect(201).json()["session"].(map[string]any)["id"].(string)
	}
	hidden := create("default")
	for _, r := range s.serviceRoutes() {
		required, _ := token.ParseScope(r.scope)
		takesNamespace := slices.Contains(r.query, "namespace")
		for _, one := range limited {
			for _, query := range []string{"", "?namespace=default", "?namespace=nobodys"} {
				var bodies []string
				for _, id := range []string{hidden, "no-session-has-this-id"} {
					a := c.do(r.method, strings.ReplaceAll(r.path, "{id}", id)+query, "", bearerOf(one.Name)...)
					if r.method == http.MethodHead {
						a.expect(404)
					} else {
						p := a.problem(404, "session_not_found")
						bodies = append(bodies, strings.ReplaceAll(string(a.body), p.RequestID, ""))
					}
					assert.Empty(t, a.Header.Get("WWW-Authenticate"))
				}
				assert.Len(t, slices.Compact(bodies), min(1, len(bodies)), "%s %s", r.method, r.path)
			}
			if !takesNamespace || one.Scope < required {
				continue
			}
			if r.method == http.MethodGet && r.path == "/api/events" {
				s.events("?namespace=shop", bearerOf(one.Name)...).stop()
				continue
			}
			a := c.do(r.method, strings.ReplaceAll(r.path, "{id}", create("shop"))+"?namespace=shop", "", bearerOf(one.Name)...)
			assert.NotContains(t, []int{401, 403, 404}, a.StatusCode, "%s %s with %s: %s", r.method, r.path, one.Name, a.body)
		}
		c.do("HEAD", "/api/sessions/"+hidden, "", bearerOf("admin")...).expect(200)
	}
	c.do("GET", "/api/sessions?namespace=stall", "", bearerOf("shop-writer")...).expect(200)
	c.do("GET", "/api/sessions?namespace=Shop", "", bearerOf("shop-reader")...).problem(400, "invalid_query")
	c.do("GET", "/api/sessions?namespace=shop&namespace=default", "", bearerOf("shop-reader")...).problem(400, "invalid_query")
	c.do("POST", "/api/sessions?namespace=shop", "{}", bearerOf("shop-reader")...).problem(403, "insufficient_scope")
}

// An export says which namespace it is of.
func TestServiceTokens_exportOfANamespace(t *testing.T) {
	s := start(t, with(tokenFor("shop-admin", token.ScopeAdmin, "shop"), admin))
	c := s.client()
	for _, space := range []string{"shop", "default"} {
		c.do("POST", "/api/sessions?namespace="+space, "{}", bearerOf("admin")...).expect(201)
	}
	assert.Equal(t, 1, strings.Count(string(c.do("GET", "/api/export?namespace=shop", "", bearerOf("shop-admin")...).expect(200).body), "\n"))
	assert.Equal(t, 2, strings.Count(string(c.do("GET", "/api/export", "", bearerOf("admin")...).expect(200).body), "\n"))
	p := c.do("GET", "/api/export", "", bearerOf("shop-admin")...).problem(404, "session_not_found")
	assert.Contains(t, p.Detail, "all namespaces")
}

// A service token beside a cookie gives rights that the visitor does not have.
func TestServiceTokens_ownRoutes(t *testing.T) {
	s := start(t, with(reader, writer, tokenFor("shop-admin", token.ScopeAdmin, "shop"), tokenFor("default-writer", token.ScopeWrite, "default")))
	routes := s.ownRoutes()
	assert.Greater(t, len(routes), 10)
	for _, r := range routes {
		c := s.client()
		d := c.create("")
		path := strings.ReplaceAll(r.path, "{id}", d.ID)
		send := func(name string) *answer { return c.do(r.method, path, "", bearerOf(name)...) }
		if send("reader").expect(403); r.method != http.MethodHead {
			send("reader").problem(403, "insufficient_scope")
			send("shop-admin").problem(404, "session_not_found")
		}
		send("shop-admin").expect(404)
		c.do("GET", "/api/session", "").expect(200)
		for _, name := range []string{"writer", "default-writer"} {
			a := send(name)
			assert.NotContains(t, []int{403, 404}, a.StatusCode, "%s %s with %s: %s", r.method, r.path, name, a.body)
			c = s.client()
			path = strings.ReplaceAll(r.path, "{id}", c.create("").ID)
		}
	}
	c := s.client()
	c.create("")
	c.do("PATCH", "/api/session", `{"user":{"id":"u"}}`, bearerOf("writer")...).expect(200)
	c.do("PATCH", "/api/session", `{"user":{"id":"v"}}`, bearerOf("reader")...).problem(403, "insufficient_scope")

	// Gateways pass on what their visitors send. It opens nothing there, and needs no scope.
	for _, name := range []string{"reader", "shop-admin"} {
		c.do("GET", verify, "", bearerOf(name)...).expect(200)
		s.client().do("GET", verify, "", bearerOf(name)...).expect(401)
	}
	c.do("GET", verify, "", "Authorization", "Bearer the-secret-of-nobody").expect(401)
}

func TestServiceTokens_expire(t *testing.T) {
	short := tokenFor("short", token.ScopeAdmin)
	s := start(t, func(set *settings) {
		short.Expires = set.Now().Add(time.Hour)
		set.Secrets.Service = []token.Service{short}
	})
	c := s.client()
	s.clock.advance(time.Hour - time.Millisecond)
	c.do("GET", "/api/sessions", "", bearerOf("short")...).expect(200)
	wrong := c.do("GET", "/api/sessions", "", bearerOf("nobody")...).problem(401, "unauthorized")
	s.clock.advance(time.Millisecond)
	expired := c.do("GET", "/api/sessions", "", bearerOf("short")...).problem(401, "unauthorized")
	wrong.RequestID = expired.RequestID
	assert.Equal(t, wrong, expired, "like one that does not exist")
	assert.Contains(t, s.log.String(), `"msg":"service token refused","name":"short","reason":"expired"`)
	c.do("GET", "/api/sessions", "").problem(401, "unauthorized") // the routes are not open
	c.do("POST", "/api/session", "{}", bearerOf("short")...).problem(401, "unauthorized")
}

func TestServiceTokens_networks(t *testing.T) {
	inside := tokenFor("inside", token.ScopeAdmin)
	inside.Networks = prefixes("10.0.0.0/8", "2001:db8::/32")
	s := start(t, func(set *settings) {
		set.Secrets.Service = []token.Service{inside}
		set.TrustedProxies = prefixes("127.0.0.0/8", "10.9.0.0/16")
	})
	c := s.client()
	for _, tc := range []struct {
		status  int
		headers []string
	}{
		{401, nil}, // the peer, 127.0.0.1
		{200, []string{"X-Forwarded-For", "10.1.2.3"}},
		{200, []string{"X-Forwarded-For", "::ffff:10.1.2.3"}},
		{200, []string{"Forwarded", `for="[2001:db8::7]:80"`}},
		{200, []string{"X-Forwarded-For", "203.0.113.9, 10.1.2.3"}},
		{200, []string{"X-Forwarded-For", "10.9.0.1"}}, // a proxy itself
		{401, []string{"X-Forwarded-For", "203.0.113.9"}},
		{401, []string{"X-Forwarded-For", "10.1.2.3, 203.0.113.9"}},
		// What a stranger sends makes nobody of him, and not the gateway.
		{401, []string{"X-Forwarded-For", "unknown, 10.9.0.1"}},
		{401, []string{"X-Forwarded-For", "unknown"}},
		{401, []string{"X-Forwarded-For", "10.1.2.3", "Forwarded", "for=10.1.2.4"}},
		{401, []string{"X-Forwarded-For", "10.9.0.1", "Forwarded", "for=_hidden, for=10.9.0.1"}},
	} {
		a := c.do("GET", "/api/sessions", "", append(bearerOf("inside"), tc.headers...)...)
		assert.Equal(t, tc.status, a.StatusCode, "%v", tc.headers)
	}
	assert.Contains(t, s.log.String(), `"msg":"service token refused","name":"inside","reason":"address"`)

	direct := start(t, func(set *settings) {
		inside.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		set.Secrets.Service = []token.Service{inside}
	})
	direct.client().do("GET", "/api/sessions", "", bearerOf("inside")...).expect(200)
	direct.client().do("GET", "/api/sessions", "", append(bearerOf("inside"), "X-Forwarded-For", "203.0.113.9")...).expect(200) // a stranger's word
}
