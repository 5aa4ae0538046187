package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// targetsOfClients are what clients can send through a gateway that appends
// their path and query to the address that it asks at. Each begins with a slash.
var targetsOfClients = []string{
	"/", "/x", "/orders?page=2&sort=a/b", "/?role=editor", "/?role=admin", "/?ROLE=admin", "/?roles=admin", "/x?a=b&role=editor", "/&role=editor", "/%26role=editor",
	"/;role=editor", "/;session", "/%3Brole=editor", "/;role", "/#?role=editor", "/?role=admin&role=editor", "/x?%72ole=editor", "/?role=editor#", "/%3Frole=editor",
	"/../verify?role=editor", "/../verify;role=editor/", "/../../healthz", "//?role=editor", "/x?&&role=editor", "/x?role=%65ditor", "/x?a;role=editor",
	"/?q=100%", "/?a;b", "/?role=%zz", "/?role", "/?role=", "/?=&;%", "/api/session/verify;role=editor/x?role=editor",
}

// asked returns what is answered to a question at the raw target.
func (s *service) asked(target string, headers ...string) rawAnswer {
	s.t.Helper()
	return s.wire().send("GET", request("GET", target, "shop.example.com", headers...))
}

func TestVerifyRuleInFrontOfThePath(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(`{"user":{"id":"u-1","roles":["editor","a/b","x;y","x=y","größe","c+d","e%f"]}}`)
	signedIn := "Cookie: " + cookieName + "=" + c.token()
	for rule, want := range map[string]int{
		";session":                   200,
		";role=editor":               200,
		";session;role=editor":       200,
		";role=admin;role=editor":    200,
		";role=a%2Fb":                200,
		";role=x%3By":                200,
		";role=x=y":                  200,
		";role=gr%C3%B6%C3%9Fe":      200,
		";role=c+d":                  200,
		";role=e%25f":                200,
		";%72ole=editor":             200,
		"%3Brole=editor":             200,
		"%3brole=admin":              403,
		";role=admin":                403,
		";role=Editor":               403,
		";role=admin;session":        403,
		";session;role=admin":        403,
		";role=editor,admin":         403,
		";role=admin%3Brole=editor":  403,
		";role=admin;role=reviewer":  403,
		";role=admin%2F;role=editor": 200,
	} {
		for _, target := range append([]string{""}, targetsOfClients...) {
			a := s.asked(verify+rule+target, signedIn)
			assert.Equal(t, want, a.StatusCode, "%s%s", rule, target)
			assert.Equal(t, 401, s.asked(verify+rule+target).StatusCode, "%s%s", rule, target)
		}
	}
	assert.Zero(t, strings.Count(s.log.String(), "rule is wrong"), "nothing to warn of")
}

// What a gateway's own rule has wrong lets nobody pass, and the log says what it is.
func TestVerifyWrongRules(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(`{"user":{"id":"u-1","roles":["editor","admin","ROLE",""]}}`)
	signedIn := "Cookie: " + cookieName + "=" + c.token()
	for target, says := range map[string]string{
		"?ROLE=admin":                "The parameter ROLE is not known. The nearest that is: role.",
		"?roles=admin":               "The parameter roles is not known. The nearest that is: role.",
		"?Role=admin":                "The parameter Role is not known. The nearest that is: role.",
		"?rolle=admin":               "The parameter rolle is not known. The nearest that is: role.",
		"?role[]=admin":              "The parameter role[] is not known. The nearest that is: role.",
		"?group=admin":               "The parameter group is not known. The nearest that is: role.",
		"?rd=x":                      "The parameter rd is not known.",
		"?role=admin&ROLE=editor":    "The parameter ROLE is not known.",
		"?role=admin&rolee=x":        "The parameter rolee is not known.",
		"?ROLE=x&ROLE=y":             "The parameter ROLE is not known.",
		"?role=editor&page=2":        "The parameter page is not known.",
		"?=admin":                    "A parameter is not known.",
		"?role+=admin":               "A parameter is not known.",
		"?" + c.token() + "=1":       "A parameter is not known.",
		"?role":                      "A role is asked for that has no name.",
		"?role=":                     "A role is asked for that has no name.",
		"?role=editor&role=":         "A role is asked for that has no name.",
		"?role=%ff":                  "A role is asked for that is not UTF-8",
		"?role=%zz":                  "The query is not well-formed",
		"?role=100%":                 "The query is not well-formed",
		"?q=100%":                    "The query is not well-formed",
		"?a;b":                       "The query holds a semicolon.",
		"?role=editor;role=admin":    "The query holds a semicolon.",
		"?role=a/b":                  "The query holds a path or another query",
		"?role=editor/x?role=editor": "The query holds a path or another query",
		"?role=editor/&role=editor":  "The query holds a path or another query",
		"?role=editor?role=admin":    "The query holds a path or another query",
		";":                          "A parameter is not known. The nearest that is: role.",
		";;role=editor":              "A parameter is not known. The nearest that is: role.",
		";ROLE=editor":               "The parameter ROLE is not known. The nearest that is: role.",
		";roles=editor/orders":       "The parameter roles is not known. The nearest that is: role.",
		";Session/orders":            "The parameter Session is not known. The nearest that is: session.",
		";session=1":                 "The parameter session takes no value.",
		";role/orders":               "A role is asked for that has no name.",
		";role=/orders":              "A role is asked for that has no name.",
		";role=%ff/x":                "A role is asked for that is not UTF-8",
		";role=editor?x=y":           "A query follows parameters in the path.",
		";session?role=editor":       "A query follows parameters in the path.",
		"&role=editor":               "looks like a rule, and is none",
		"%3Frole=editor":             "looks like a rule, and is none",
		"%3Frole%3Deditor":           "looks like a rule, and is none",
		"role=editor/x":              "looks like a rule, and is none",
		"x;role=editor":              "looks like a rule, and is none",
	} {
		s.clock.advance(time.Minute)
		before := len(logLines(t, s))
		a := s.asked(verify+target, signedIn)
		require.Equal(t, 503, a.StatusCode, "%s: %s", target, a.body)
		assert.Contains(t, a.body, `"code":"invalid_rule"`)
		assert.Contains(t, a.body, says, target)
		anonymous(t, a.Header)
		assert.Empty(t, a.Header["Set-Cookie"])
		var warned []map[string]any
		for _, line := range logLines(t, s)[before:] {
			assert.NotEqual(t, "request failed", line["msg"])
			if line["level"] == "WARN" && strings.Contains(line["msg"].(string), "rule") {
				warned = append(warned, line)
			}
		}
		if assert.Len(t, warned, 1, target) {
			assert.Contains(t, warned[0]["detail"], says, target)
			assert.Equal(t, a.Header.Get("X-Request-Id"), warned[0]["requestId"])
		}
		assert.Equal(t, 401, s.asked(verify+target).StatusCode, target)
	}
	assert.Zero(t, strings.Count(s.log.String(), c.token()), "no token is in the log")
	for i, method := range []string{"HEAD", "POST", "OPTIONS", "PROPFIND"} {
		a := s.wire().send(method, request(method, verify+"?ROLE=admin", "a", signedIn))
		assert.Equal(t, 503, a.StatusCode, "%d %s", i, method)
	}
}

func TestVerifyWrongRulesAreLoggedNowAndThen(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	warnings := func() int { return strings.Count(s.log.String(), "rule is wrong or unclear") }
	for range 50 {
		c.do("GET", verify+"?ROLE=admin", "").problem(503, "invalid_rule")
	}
	assert.Equal(t, 1, warnings())
	for i := range 100 {
		name := string([]byte{byte('a' + i/26), byte('a' + i%26)})
		c.do("GET", verify+"?"+name+"=secret-value", "").problem(503, "invalid_rule")
	}
	assert.LessOrEqual(t, warnings(), 16, "also where each is another")
	s.clock.advance(time.Minute)
	before := warnings()
	c.do("GET", verify+"?ROLE=admin", "").problem(503, "invalid_rule")
	assert.Equal(t, before+1, warnings())
	assert.NotContains(t, s.log.String(), "secret-value")
}

// Behind a path, the query is taken for the client's, but for what could be a
// gateway's rule: that is never left out of account.
func TestVerifyQueriesBehindAPath(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada) // an editor
	signedIn := "Cookie: " + cookieName + "=" + c.token()
	for target, want := range map[string]int{
		"/":                         200,
		"/?":                        200,
		"/x?q=100%":                 200,
		"/x?a;b":                    200,
		"/x?a=%zz&b":                200,
		"/x?page=2&sort=a/b":        200,
		"/x?next=/home?role":        200,
		"/x?control=1&scroll=role":  200,
		"/x?parole=1&rolex=2":       200,
		"/;role=admin":              200,
		"/x/role=admin":             200,
		"*":                         200,
		"/?role=editor":             200,
		"/x?role=editor&page=2":     200,
		"/?role=admin":              403,
		"/x?role=admin":             403,
		"/x?ROLE=editor":            403,
		"/x?roles=editor":           403,
		"/x?role[]=editor":          403,
		"/x?%52ole=editor":          403,
		"/x?role=editor&ROLE=x":     403,
		"/x?role=editor&q=100%":     403,
		"/x?a;role=editor":          403,
		"/x?role":                   403,
		"/x?role=":                  403,
		"/x?role=admin/&role=x":     403,
		"/x?role=admin/y?role=edit": 403,
		// A gateway's own path and query, with its client's behind them.
		"/area?role=admin/?role=editor":    403,
		"/area?role=admin/x?b&role=editor": 403,
		"/area?role=admin/&role=editor":    403,
		"/?role=admin&/x?role=editor":      403,
	} {
		a := s.asked(verify+target, signedIn)
		assert.Equal(t, want, a.StatusCode, target)
		assert.Equal(t, 401, s.asked(verify+target).StatusCode, target)
	}
	assert.Contains(t, s.log.String(), "a parameter such as role behind a path", "an operator can see why")
}

// Nothing that a client can put behind a gateway's address lets it pass where it
// would not have passed otherwise.
func TestVerifyNothingAppendedWidens(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada) // an editor
	signedIn := "cookie: " + cookieName + "=" + c.token()
	for _, prefix := range []string{
		verify + ";role=admin", verify + ";role=admin/area", verify + "?role=admin", verify + "?role=admin&", verify + "?ROLE=editor", verify + ";roles=editor",
		verify + "?role=admin&original=", verify + "?original=&role=admin", verify + "/area?role=admin", verify + "/?role=admin&", verify + "/?roles=editor",
	} {
		for _, target := range targetsOfClients {
			a := s.wire().send("GET", envoy(prefix, "GET", target, signedIn))
			assert.Contains(t, []int{403, 503}, a.StatusCode, "%s%s", prefix, target)
			a = s.wire().send("GET", envoy(prefix, "GET", target))
			assert.Equal(t, 401, a.StatusCode, "%s%s", prefix, target)
		}
	}
}

// Many roles do not become a header that a gateway cannot take, and a list that
// is not whole does not look like one that is.
func TestVerifyOfManyRoles(t *testing.T) {
	s := start(t)
	list := func(n, size int) []string { // n roles that take size bytes in a header
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("%02d", i) + strings.Repeat("x", size/n-3)
		}
		names[n-1] += strings.Repeat("y", size-len(strings.Join(names, ",")))
		return names
	}
	for name, is := range map[string]struct {
		roles []string
		fit   bool
	}{
		"as many as fit":          {list(64, 2048), true},
		"a byte more":             {list(64, 2049), false},
		"few that are long":       {list(18, 2049), false},
		"as many as there may be": {list(64, 64*128), false},
		"much to escape":          {strings.Split(strings.Repeat(strings.Repeat("ß", 64)+",", 63)+"editor", ","), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client()
			user := `{"id":"` + strings.Repeat("u", 256) + `","email":"` + strings.Repeat("e", 320) + `","roles":["` + strings.Join(is.roles, `","`) + `"]}`
			c.create(`{"user":` + user + `}`)
			a := c.do("GET", verify, "").expect(200)
			who := identity(t, a.Header)
			if is.fit {
				assert.Equal(t, strings.Join(is.roles, ","), who[3])
				assert.Equal(t, []string{""}, a.Header["X-User-Incomplete"])
			} else {
				assert.Empty(t, who[3], "all or none")
				assert.Equal(t, []string{"roles"}, a.Header["X-User-Incomplete"])
			}
			size := 0
			for name, values := range a.Header {
				size += len(name) + len(values[0]) + len(": \r\n")
			}
			assert.Less(t, size, 4096-len("HTTP/1.1 200 OK\r\n\r\n"), "nginx reads no more by default")
			c.do("GET", verify+"?role="+is.roles[len(is.roles)-1], "").expect(200)
			c.do("GET", verify+"?role=role", "").problem(403, "role_required")
		})
	}
}
