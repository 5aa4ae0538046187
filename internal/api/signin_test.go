package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"session-api/internal/soaktest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// visitor sends the token as its cookie, with no jar in between.
func (s *service) visitor(method, path, body, token string, headers ...string) *answer {
	s.t.Helper()
	return s.client().do(method, path, body, append([]string{"Cookie", cookieName + "=" + token}, headers...)...)
}

// userOf is who the token's session belongs to, empty where it opens none.
func (s *service) userOf(token string) string {
	s.t.Helper()
	a := s.visitor("GET", "/api/session?touch=false", "", token)
	if a.StatusCode == http.StatusUnauthorized {
		return ""
	}
	if user := a.expect(200).document().User; user != nil {
		return user.ID
	}
	return ""
}

const adaSignsIn = `{"user":{"id":"ada","roles":["admin"]}}`

var asService = []string{"Authorization", "Bearer " + serviceToken}

// An attacker has planted a session in the visitor's browser, and regenerates it
// with a grace while the visitor signs in. Whatever comes first, the attacker's
// tokens never open a session with a user.
func TestAttackOnASignInNeverSignsIn(t *testing.T) {
	rounds := soaktest.Times(200, 1000)
	for name, signIn := range map[string]func(token, id string) *http.Request{
		"by id": func(_, id string) *http.Request {
			return quick("POST", "/api/sessions/"+id+"/regenerate", adaSignsIn, asService...)
		},
		"by the visitor's cookie": func(token, _ string) *http.Request {
			return quick("POST", "/api/session/regenerate", adaSignsIn, append([]string{"Cookie", cookieName + "=" + token}, asService...)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, withServiceTokens)
			answered := func(r *http.Request) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				s.api.ServeHTTP(w, r)
				return w
			}
			for range rounds {
				var out handedOver
				made := answered(quick("POST", "/api/sessions", "{}", asService...))
				require.NoError(t, json.Unmarshal(made.Body.Bytes(), &out))
				planted := cookieName + "=" + out.Token
				var signed, attack *httptest.ResponseRecorder
				var both sync.WaitGroup
				both.Go(func() { signed = answered(signIn(out.Token, out.Session.ID)) })
				both.Go(func() {
					attack = answered(quick("POST", "/api/session/regenerate", `{"graceMs":60000}`, "Cookie", planted))
				})
				both.Wait()
				if signed.Code == http.StatusOK {
					require.Equal(t, 401, attack.Code)
				} else {
					require.Equal(t, 409, signed.Code)
					require.Equal(t, 200, attack.Code)
				}
				cookies := []string{planted}
				for _, line := range attack.Result().Cookies() {
					cookies = append(cookies, line.Name+"="+line.Value)
				}
				for _, cookie := range cookies {
					read := answered(quick("GET", "/api/session", "", "Cookie", cookie))
					require.NotContains(t, read.Body.String(), `"id":"ada"`, "the attacker is signed in")
				}
			}
		})
	}
}

// quick is a request that is made a thousand times.
func quick(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestSignIn(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	first := c.create(`{"inputs":{"cart":1}}`)
	planted := c.token()
	c.do("POST", "/api/session/regenerate", `{"graceMs":60000}`).expect(200)
	second := c.token()

	// By id, with the visitor's grace still running, and one of its own asked for.
	id := c.do("GET", "/api/session", "").expect(200).document().ID
	out := s.backend().do("POST", "/api/sessions/"+id+"/regenerate", `{"user":{"id":"ada"},"graceMs":60000}`).expect(200).handedOver()
	assert.Equal(t, "ada", out.Session.User.ID)
	assert.JSONEq(t, `{"cart":1}`, string(out.Session.Inputs), "what the visitor did stays")
	assert.Equal(t, 2, out.Session.Revision)
	assert.Equal(t, first.CreatedAt, out.Session.CreatedAt)
	assert.Equal(t, "ada", s.userOf(out.Token))
	for _, old := range []string{planted, second} {
		s.visitor("GET", "/api/session", "", old).problem(401, "unauthorized")
		s.visitor("POST", "/api/session/regenerate", "", old).problem(401, "unauthorized")
	}
	for _, old := range []string{first.ID, id} {
		s.backend().do("GET", "/api/sessions/"+old, "").problem(404, "session_not_found")
		s.backend().do("POST", "/api/sessions/"+old+"/regenerate", adaSignsIn).problem(404, "session_not_found")
	}

	// By the cookie, as another user.
	a := s.visitor("POST", "/api/session/regenerate", `{"user":{"id":"bob"},"graceMs":60000}`, out.Token, asService...).expect(200)
	require.Len(t, a.Cookies(), 1)
	assert.Empty(t, a.document().Token)
	assert.Equal(t, "bob", s.userOf(a.Cookies()[0].Value))
	s.visitor("GET", "/api/session", "", out.Token).problem(401, "unauthorized")

	// Signed in once more, as the same user: older tokens end all the same.
	again := s.visitor("POST", "/api/session/regenerate", `{"user":{"id":"bob"}}`, a.Cookies()[0].Value, asService...).expect(200)
	assert.Equal(t, a.document().Revision, again.document().Revision)
	s.visitor("GET", "/api/session", "", a.Cookies()[0].Value).problem(401, "unauthorized")

	// And nobody's again.
	gone := s.backend().do("POST", "/api/sessions/"+again.document().ID+"/regenerate", `{"user":null}`).expect(200).handedOver()
	assert.Nil(t, gone.Session.User)
	s.visitor("GET", "/api/session", "", again.Cookies()[0].Value).problem(401, "unauthorized")

	s.visitor("POST", "/api/session/regenerate", adaSignsIn, gone.Token).problem(403, "user_forbidden")
	s.backend().do("POST", "/api/sessions/"+gone.Session.ID+"/regenerate", `{"user":{"email":"a@b"}}`).problem(422, "validation_failed")
	assert.Empty(t, s.userOf(gone.Token))
}

// The attacker has regenerated first: the visitor's cookie is one in its grace,
// and the attacker has the new one.
func TestSignInByATokenInItsGraceIsRefused(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	id := c.create("").ID
	planted := c.token()
	attacker := s.visitor("POST", "/api/session/regenerate", `{"graceMs":60000}`, planted).expect(200).Cookies()[0].Value
	at := "/api/sessions/" + id
	before := s.backend().do("GET", at, "").expect(200).document()
	for what, a := range map[string]*answer{
		"regenerate by id":               s.backend().do("POST", at+"/regenerate", ""),
		"regenerate by id, with a grace": s.backend().do("POST", at+"/regenerate", `{"graceMs":1}`),
		"sign-in by id":                  s.backend().do("POST", at+"/regenerate", adaSignsIn),
		"PUT by id":                      s.backend().do("PUT", at, adaSignsIn),
		"PATCH by id":                    s.backend().do("PATCH", at, adaSignsIn),
		"regenerate by cookie":           s.visitor("POST", "/api/session/regenerate", "", planted, asService...),
		"sign-in by cookie":              s.visitor("POST", "/api/session/regenerate", adaSignsIn, planted, asService...),
		"PUT by cookie":                  s.visitor("PUT", "/api/session", adaSignsIn, planted, asService...),
		"PATCH by cookie":                s.visitor("PATCH", "/api/session", adaSignsIn, planted, asService...),
		"operations by cookie": s.visitor("POST", "/api/session/operations", `[{"op":"add","path":"/user","value":{"id":"ada"}}]`, planted,
			append([]string{"Content-Type", "application/json-patch+json"}, asService...)...),
	} {
		assert.Equal(t, "not_current", a.problem(409, "not_current").Code, what)
		assert.Empty(t, a.Header["Set-Cookie"], what)
		assert.NotContains(t, string(a.body), before.ID, what)
	}
	assert.Equal(t, before, s.backend().do("GET", at, "").expect(200).document())
	assert.Empty(t, s.userOf(attacker))
	// A visitor's own late requests go on as before.
	a := s.visitor("POST", "/api/session/regenerate", "", planted).expect(200)
	assert.Empty(t, a.Header["Set-Cookie"])
	s.visitor("PATCH", "/api/session", `{"meta":{"late":true}}`, planted).expect(200)
	s.backend().do("PATCH", at, `{"meta":{"later":true}}`).expect(200)
}

// Whatever route a service writes the user by, older tokens end.
func TestAnotherUserEndsOlderTokens(t *testing.T) {
	for name, write := range map[string]func(s *service, id, token, user string) *answer{
		"PUT by id": func(s *service, id, _, user string) *answer {
			return s.backend().do("PUT", "/api/sessions/"+id, `{"user":`+user+`}`)
		},
		"PATCH by id": func(s *service, id, _, user string) *answer {
			return s.backend().do("PATCH", "/api/sessions/"+id, `{"user":`+user+`}`)
		},
		"PUT": func(s *service, _, token, user string) *answer {
			return s.visitor("PUT", "/api/session", `{"user":`+user+`}`, token, asService...)
		},
		"PATCH": func(s *service, _, token, user string) *answer {
			return s.visitor("PATCH", "/api/session", `{"user":`+user+`}`, token, asService...)
		},
		"operations": func(s *service, _, token, user string) *answer {
			patch := `[{"op":"add","path":"/user","value":` + user + `}]`
			if user == "null" {
				patch = `[{"op":"remove","path":"/user"}]`
			}
			return s.visitor("POST", "/api/session/operations", patch, token,
				append([]string{"Content-Type", "application/json-patch+json"}, asService...)...)
		},
	} {
		for change, users := range map[string][2]string{
			"from nobody":  {`null`, `{"id":"ada"}`},
			"to nobody":    {`{"id":"ada"}`, `null`},
			"from another": {`{"id":"ada"}`, `{"id":"bob"}`},
		} {
			t.Run(name+", "+change, func(t *testing.T) {
				s := start(t, withServiceTokens)
				planted := s.backend().create("", `{"user":`+users[0]+`}`).Token
				a := s.visitor("POST", "/api/session/regenerate", `{"graceMs":60000}`, planted).expect(200)
				newest := a.Cookies()[0].Value
				s.visitor("GET", "/api/session", "", planted).expect(200)
				written := write(s, a.document().ID, newest, users[1]).expect(200)
				s.visitor("GET", "/api/session", "", planted).problem(401, "unauthorized")
				read := s.visitor("GET", "/api/session?touch=false", "", newest).expect(200)
				assert.Equal(t, written.Header.Get("ETag"), read.Header.Get("ETag"))
				write(s, a.document().ID, newest, users[0]).expect(200)
				s.visitor("GET", "/api/session", "", planted).problem(401, "unauthorized")
			})
		}
	}

	t.Run("the same user does not", func(t *testing.T) {
		s := start(t, withServiceTokens)
		planted := s.backend().create("", `{"user":{"id":"ada"}}`).Token
		a := s.visitor("POST", "/api/session/regenerate", `{"graceMs":60000}`, planted).expect(200)
		s.backend().do("PATCH", "/api/sessions/"+a.document().ID, `{"user":{"roles":["admin"]}}`).expect(200)
		assert.Equal(t, "ada", s.userOf(planted))
	})
}

func TestSignInCountsAgainstTheUsersLimit(t *testing.T) {
	s := start(t, withServiceTokens, func(set *settings) { set.limit.Max = 1 })
	s.backend().create("", `{"user":{"id":"ada"}}`)
	anonymous := s.backend().create("", "")
	at := "/api/sessions/" + anonymous.Session.ID
	s.backend().do("POST", at+"/regenerate", adaSignsIn).problem(409, "user_limit")
	s.backend().do("GET", at, "").expect(200)
	other := s.backend().do("POST", at+"/regenerate", `{"user":{"id":"bob"}}`).expect(200).handedOver()
	s.backend().do("POST", "/api/sessions/"+other.Session.ID+"/regenerate", `{"user":{"id":"bob","roles":["a"]}}`).expect(200)
	assert.Equal(t, 1, s.backend().count("?userId=bob"))
}

func TestSignInGivesTheLifeOfTheRole(t *testing.T) {
	s := start(t, withServiceTokens, func(set *settings) { set.life.Roles = map[string]time.Duration{"admin": time.Minute} })
	out := s.backend().create("", "")
	next := s.backend().do("POST", "/api/sessions/"+out.Session.ID+"/regenerate", adaSignsIn).expect(200).handedOver()
	assert.Equal(t, s.clock.Now().Add(time.Minute), next.Session.ExpiresAt, "the role's idle life counts")
	assert.True(t, strings.HasPrefix(next.SetCookie, cookieName+"="))
}
