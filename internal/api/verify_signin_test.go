package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"session-api/internal/schema"
)

// signedIn is a user who signed in at the harness's first moment, as JSON.
const signedIn = `{"user":{"id":"u-1","roles":["editor"],"auth":{"time":"2026-11-21T17:04:05.123Z","methods":["pwd","otp"],"level":"aal2"}}}`

// A rule about the sign-in is met, or is a 401 that says what is asked for; never is it
// anything else for want of a sign-in.
func TestVerifySignIn(t *testing.T) {
	s := start(t)
	c, unknown, anonymous := s.client(), s.client(), s.client()
	c.create(signedIn)
	unknown.create(`{"user":{"id":"u-2","roles":["editor"]}}`)
	anonymous.create(`{}`)
	s.clock.advance(10 * time.Minute)
	const insufficient = `Bearer error="insufficient_user_authentication"`
	for rule, challenge := range map[string]string{
		"maxAuthAge=600":                        "",
		"maxAuthAge=599":                        insufficient + `, max_age="599"`,
		"level=aal1":                            "",
		"level=aal2":                            "",
		"level=aal3":                            insufficient + `, acr_values="aal3"`,
		"level=AAL2":                            insufficient + `, acr_values="AAL2"`,
		"level=aal3&level=aal2":                 "",
		"level=aal3&level=urn:gold":             insufficient + `, acr_values="aal3 urn:gold"`,
		"method=otp":                            "",
		"method=hwk&method=pwd":                 "",
		"method=hwk":                            insufficient,
		"maxAuthAge=3600&level=aal2&method=otp": "",
		"maxAuthAge=3600&level=aal3&method=otp": insufficient + `, max_age="3600", acr_values="aal3"`,
		"maxAuthAge=3600&role=editor":           "",
		"role=editor&maxAuthAge=60":             insufficient + `, max_age="60"`,
	} {
		a := c.do("GET", verify+"?"+rule, "")
		if challenge == "" {
			a.expect(200)
			assert.Equal(t, []string{"2026-11-21T17:04:05.123Z"}, a.Header["X-Auth-Time"], rule)
			assert.Equal(t, []string{"aal2"}, a.Header["X-Auth-Level"], rule)
			assert.Equal(t, []string{"pwd,otp"}, a.Header["X-Auth-Methods"], rule)
		} else {
			a.problem(401, "insufficient_user_authentication")
			assert.Equal(t, challenge, a.Header.Get("WWW-Authenticate"), rule)
			assert.Empty(t, a.Header["X-Auth-Time"], rule)
			assert.Empty(t, a.Header["X-User-Id"], rule)
		}
		unknown.do("GET", verify+"?"+rule, "").problem(401, "insufficient_user_authentication")
		anonymous.do("GET", verify+"?"+rule, "").problem(401, "insufficient_user_authentication")
		s.client().do("GET", verify+"?"+rule, "").problem(401, "no_credential")

		inPath := s.asked(verify+";"+strings.ReplaceAll(rule, "&", ";")+"/orders?level=aal3", "Cookie: "+cookieName+"="+c.token())
		assert.Equal(t, a.StatusCode, inPath.StatusCode, rule)
		if challenge != "" {
			assert.Equal(t, challenge, inPath.Header.Get("WWW-Authenticate"), rule)
		}
	}
	c.do("GET", verify+"?role=admin&level=aal3", "").problem(403, "role_required")
	for _, known := range []*client{unknown, anonymous} {
		a := known.do("GET", verify, "").expect(200)
		for _, name := range []string{"X-Auth-Time", "X-Auth-Level", "X-Auth-Methods"} {
			assert.Equal(t, []string{""}, a.Header[http.CanonicalHeaderKey(name)], "a gateway overwrites what its client sent")
		}
	}
}

// A sign-in that is said to lie in the future would be a recent one for as long as its
// author likes.
func TestVerifySignIn_inTheFuture(t *testing.T) {
	for name, settings := range map[string]struct {
		rule   string
		change func(*settings)
	}{
		"by a rule":       {"?maxAuthAge=60", func(*settings) {}},
		"by the settings": {"", func(set *settings) { set.ReauthAfter = time.Minute }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, settings.change)
			c, ahead := s.client(), s.client()
			c.create(signedInAt(s.clock.Now().Add(time.Minute)))
			ahead.create(signedInAt(s.clock.Now().Add(time.Minute + time.Millisecond)))
			c.do("GET", verify+settings.rule, "").expect(200)
			ahead.do("GET", verify+settings.rule, "").problem(401, "insufficient_user_authentication")
			s.clock.advance(2 * time.Millisecond)
			ahead.do("GET", verify+settings.rule, "").expect(200)
		})
	}
}

// signedInAt is a user who signed in at that time, as JSON.
func signedInAt(at time.Time) string {
	return `{"user":{"id":"u-1","auth":{"time":"` + at.Format(schema.TimeLayout) + `"}}}`
}

func TestVerifySignIn_invalidRules(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(signedIn)
	for rule, detail := range map[string]string{
		"maxAuthAge=":               "maxAuthAge is a whole number of seconds",
		"maxAuthAge=0":              "maxAuthAge is a whole number of seconds",
		"maxAuthAge=-1":             "maxAuthAge is a whole number of seconds",
		"maxAuthAge=1.5":            "maxAuthAge is a whole number of seconds",
		"maxAuthAge=15m":            "maxAuthAge is a whole number of seconds",
		"maxAuthAge=9999999999999":  "maxAuthAge is a whole number of seconds",
		"maxAuthAge=1&maxAuthAge=2": "more than once",
		"maxauthage=900":            "The nearest that is: maxAuthAge.",
		"max_auth_age=900":          "The nearest that is: maxAuthAge.",
		"levels=aal2":               "The nearest that is: level.",
		"methods=otp":               "The nearest that is: method.",
		"level=":                    "The level that is asked for is none",
		"level=a%22b":               "The level that is asked for is none",
		"level=aal1,aal2":           "The level that is asked for is none",
		"method=":                   "The method that is asked for is none",
		"method=pwd%20otp":          "The method that is asked for is none",
		"method=%0d%0aX:y":          "The method that is asked for is none",
	} {
		for _, target := range []string{verify + "?" + rule, verify + ";" + strings.ReplaceAll(rule, "&", ";")} {
			a := s.asked(target, "Cookie: "+cookieName+"="+c.token())
			assert.Equal(t, 503, a.StatusCode, target)
			assert.Contains(t, a.body, detail, target)
		}
	}
}

// What a client appends can be neither a rule nor a part of one. What looks like a
// gateway's own never lets anybody pass.
func TestVerifySignIn_behindAPath(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(signedIn)
	for target, want := range map[string]int{
		"/orders?level=3":               200,
		"/orders?method=otp":            200,
		"/orders?level=aal2":            403,
		"/orders?Level=AAL1":            403,
		"/orders?page=1&maxAuthAge=900": 403,
		"/orders?max_auth_age=900":      403,
		";session/orders?maxAuthAge=1":  200,
		";level=aal3/x?level=aal1":      401,
		"?level=aal3&x=/y?level=aal1":   503,
	} {
		assert.Equal(t, want, s.asked(verify+target, "Cookie: "+cookieName+"="+c.token()).StatusCode, target)
	}
}

// The settings bound the age of every sign-in. Where it is not known when that was, it was
// no earlier than the session was made.
func TestVerifySignIn_reauthAfter(t *testing.T) {
	s := start(t, func(set *settings) { set.ReauthAfter = time.Hour })
	c, unknown, anonymous := s.client(), s.client(), s.client()
	c.create(signedIn)
	unknown.create(`{"user":{"id":"u-2"}}`)
	anonymous.create(`{}`)
	s.clock.advance(time.Hour)
	for _, one := range []*client{c, unknown, anonymous} {
		one.do("GET", verify, "").expect(200)
	}
	s.clock.advance(time.Millisecond)
	for _, one := range []*client{c, unknown} {
		a := one.do("GET", verify+"?maxAuthAge=7200", "")
		a.problem(401, "insufficient_user_authentication")
		assert.Equal(t, `Bearer error="insufficient_user_authentication", max_age="3600"`, a.Header.Get("WWW-Authenticate"))
		one.do("GET", verify, "").problem(401, "insufficient_user_authentication")
		one.do("GET", "/api/session", "").expect(200)
	}
	anonymous.do("GET", verify, "").expect(200)
}

// A step-up gives the session a new id and leaves its data; who may not write the user
// cannot make one.
func TestRegenerate_auth(t *testing.T) {
	s := start(t, withServiceTokens)
	const step = `{"auth":{"time":"2026-11-21T17:00:00Z","methods":["hwk"],"level":"aal3"}}`
	c := s.client()
	service := []string{"Authorization", "Bearer " + serviceToken}
	made := c.do("POST", "/api/sessions", `{"user":{"id":"u-1","email":"ada@example.org","auth":{"time":"2026-11-21T16:00:00Z"}},"inputs":{"a":1}}`, service...).expect(201)
	cookie := "Cookie"
	token := cookieName + "=" + made.document().Token
	c.do("POST", "/api/session/regenerate", step, cookie, token).problem(403, "user_forbidden")

	next := c.do("POST", "/api/session/regenerate", step, cookie, token, "Authorization", "Bearer "+serviceToken).expect(200)
	assert.Contains(t, string(next.body), `"user":{"id":"u-1","email":"ada@example.org","roles":[],"auth":{"time":"2026-11-21T17:00:00.000Z","methods":["hwk"],"level":"aal3"}},"inputs":{"a":1}`)
	assert.NotEqual(t, made.document().ID, next.document().ID)
	s.client().do("GET", "/api/session", "", cookie, token).problem(401, "unauthorized")
	c.do("GET", verify+"?level=aal3", "").expect(200)

	id := next.document().ID
	c.do("POST", "/api/sessions/"+id+"/regenerate", `{"auth":{"level":"aal3"}}`, service...).problem(422, "validation_failed")
	c.do("POST", "/api/sessions/"+id+"/regenerate", `{"auth":null}`, service...).expect(200)
	c.do("GET", verify+"?level=aal1", "").problem(401, "unauthorized")
}
