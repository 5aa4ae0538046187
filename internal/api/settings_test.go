package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store"
)

// restarted is a service with other settings on the sessions of s.
func (s *service) restarted(t *testing.T, change func(*settings)) *service {
	t.Helper()
	next := start(t, func(set *settings) {
		set.store, set.Now = s.store, s.clock.Now
		change(set)
	})
	next.clock = s.clock
	return next
}

// at is the client with another service, and the cookies that it has.
func (c *client) at(s *service) *client { return &client{s: s, http: c.http} }

// maxAge is the life of the session cookie that the answer sets.
func (a *answer) maxAge() time.Duration {
	a.t.Helper()
	require.Len(a.t, a.Cookies(), 1)
	return time.Duration(a.Cookies()[0].MaxAge) * time.Second
}

func TestALimitOnTheWholeLifeThatCameLater(t *testing.T) {
	s := start(t)
	c := s.client()
	made := c.do("POST", "/api/session", `{"user":{"id":"ada"},"results":{"report":"r.pdf"}}`).expect(201)
	id := made.document().ID
	s.clock.advance(2 * time.Hour)
	c.do("POST", "/api/session/touch", "").expect(200)

	longer := s.restarted(t, func(set *settings) { set.life.Absolute = 3 * time.Hour })
	end := made.document().CreatedAt.Add(3 * time.Hour)
	for _, path := range []string{"/api/session?touch=false", "/api/session", "/api/sessions/" + id} {
		a := c.at(longer).do("GET", path, "").expect(200)
		assert.Equal(t, end, a.document().ExpiresAt, path)
		assert.Equal(t, made.Header.Get("ETag"), a.Header.Get("ETag"), path)
		if path == "/api/session?touch=false" {
			assert.Equal(t, time.Hour, a.maxAge())
		}
	}
	a := c.at(longer).do("POST", "/api/session/touch", "").expect(200)
	assert.Equal(t, end, a.document().ExpiresAt)
	assert.Equal(t, time.Hour, a.maxAge())
	a = c.at(longer).do("PATCH", "/api/session", `{"meta":{"a":1}}`).expect(200)
	assert.Equal(t, end, a.document().ExpiresAt)

	shorter := s.restarted(t, func(set *settings) { set.life.Absolute = 2 * time.Hour })
	v := c.at(shorter)
	v.do("GET", "/api/session", "").problem(401, "unauthorized")
	v.do("HEAD", "/api/session", "").expect(401)
	v.do("PATCH", "/api/session", `{"meta":{"a":1}}`).problem(401, "unauthorized")
	v.do("POST", "/api/session/touch", "").problem(401, "unauthorized")
	v.do("POST", "/api/session/regenerate", "").problem(401, "unauthorized")
	v.do("GET", "/api/session/verify", "").expect(401)
	v.do("GET", "/api/sessions/"+id, "").problem(404, "session_not_found")
	assert.Empty(t, v.do("GET", "/api/sessions?userId=ada", "").expect(200).json()["sessions"])
	has, err := s.store.HasFile(t.Context(), s.clock.Now(), "r.pdf")
	require.NoError(t, err)
	assert.False(t, has)
	stats := v.do("GET", "/stats", "").expect(200).json()
	assert.EqualValues(t, 0, stats["entryCount"])
	assert.EqualValues(t, 1, stats["expirations"])
	v.do("DELETE", "/api/session", "").expect(204)
}

func TestAnotherIdleLifeHoldsFromTheNextUseOn(t *testing.T) {
	for _, idle := range []time.Duration{time.Hour, 48 * time.Hour} {
		for _, use := range []struct{ method, path, body string }{
			{"GET", "/api/session", ""},
			{"PUT", "/api/session", `{"inputs":{"b":1}}`},
			{"PATCH", "/api/session", `{"inputs":{"b":1}}`},
			{"PATCH", "/api/session", `{}`},
			{"POST", "/api/session/operations", `[{"op":"add","path":"/inputs/b","value":1}]`},
			{"POST", "/api/session/touch", ""},
			{"POST", "/api/session/regenerate", ""},
			{"GET", "/api/session/verify", ""},
			{"GET", "/api/sessions/{id}?touch=true", ""},
			{"POST", "/api/sessions/{id}/touch", ""},
		} {
			t.Run(fmt.Sprint(idle, use.method, use.path, use.body), func(t *testing.T) {
				s := start(t)
				c := s.client()
				made := c.create(`{"inputs":{"a":1}}`)
				s.clock.advance(2 * time.Hour)
				next := s.restarted(t, func(set *settings) { set.life.TTL = idle })
				v := c.at(next)
				assert.Equal(t, made.ExpiresAt, v.do("GET", "/api/session?touch=false", "").expect(200).document().ExpiresAt)
				want := s.clock.Now().Add(idle)
				a := v.do(use.method, strings.Replace(use.path, "{id}", made.ID, 1), use.body).expect(200)
				if strings.HasPrefix(use.path, "/api/session/verify") {
					assert.Equal(t, idle, a.maxAge())
				} else {
					assert.Equal(t, want, a.document().ExpiresAt)
				}
				if strings.HasPrefix(use.path, "/api/session/") || use.path == "/api/session" {
					assert.Equal(t, idle, a.maxAge())
				}
				a = v.do("GET", "/api/session?touch=false", "").expect(200)
				assert.Equal(t, want, a.document().ExpiresAt)
				s.clock.advance(idle - time.Millisecond)
				v.do("HEAD", "/api/session", "").expect(200)
				s.clock.advance(time.Millisecond)
				v.do("GET", "/api/session", "", "Cookie", cookieName+"="+c.token()).expect(401)
			})
		}
	}
}

func TestASessionOverALoweredSizeLimit(t *testing.T) {
	s := start(t)
	c := s.client()
	text := strings.Repeat("x", 4000)
	c.create(`{"inputs":{"a":"` + text + `","b":"b"}}`)
	next := s.restarted(t, func(set *settings) { set.rules.MaxBytes = 2048 })
	v := c.at(next)
	v.do("GET", "/api/session", "").expect(200)
	v.do("POST", "/api/session/touch", "").expect(200)
	v.do("POST", "/api/session/touch", `{"ttlMs":60000}`).expect(200)
	id := v.do("POST", "/api/session/regenerate", "").expect(200).document().ID
	for _, path := range []string{"/api/session", "/api/sessions/" + id} {
		v.do("PATCH", path, `{"inputs":{"c":"more"}}`).problem(413, "too_large")
		v.do("PATCH", path, `{"meta":{"c":"more"},"inputs":{"b":null}}`).problem(413, "too_large")
		v.do("PUT", path, `{"inputs":{"a":"`+text+text+`"}}`).problem(413, "too_large")
		v.do("PATCH", path, `{"inputs":{"b":"c"}}`).expect(200)
		text = text[:len(text)-500]
		v.do("PUT", path, `{"inputs":{"a":"`+text+`","b":"b"}}`).expect(200)
	}
	ops := `[{"op":"remove","path":"/inputs/b"}]`
	v.do("POST", "/api/session/operations", ops, "Content-Type", "application/json-patch+json").expect(200)
	v.do("PATCH", "/api/session", `{"inputs":{"a":null}}`).expect(200)
	v.do("PATCH", "/api/session", `{"inputs":{"a":"`+text+`"}}`).problem(413, "too_large")
	v.do("DELETE", "/api/session", "").expect(204)
}

func TestASessionAtTheSizeLimitCanBeChangedForever(t *testing.T) {
	s := start(t, func(set *settings) { set.rules.MaxBytes = 2048 })
	c := s.client()
	size := len(c.do("POST", "/api/session", `{"inputs":{"a":"","n":1}}`).expect(201).body)
	c.do("PATCH", "/api/session", `{"inputs":{"a":"`+strings.Repeat("x", 2048-size)+`"}}`).expect(200)
	c.do("PATCH", "/api/session", `{"inputs":{"a":"`+strings.Repeat("x", 2049-size)+`"}}`).problem(413, "too_large")
	for i := range 110 {
		c.do("PATCH", "/api/session", fmt.Sprintf(`{"inputs":{"n":%d}}`, i%10)).expect(200)
	}
	a := c.do("GET", "/api/session", "").expect(200)
	assert.Equal(t, 112, a.document().Revision)
	c.do("PUT", "/api/session", string(a.body)).expect(200)
}

func TestAKeyThatWasForbiddenLater(t *testing.T) {
	fresh := func(t *testing.T) (*client, string) {
		t.Helper()
		s := start(t)
		c := s.client()
		id := c.create(`{"inputs":{"a":1,"password":"p"},"meta":{"l":[{"APIKEY":"k"}]}}`).ID
		next := s.restarted(t, func(set *settings) { set.rules.ForbiddenKeys = []string{"password", "apiKey"} })
		return c.at(next), id
	}
	const patch, operations = "application/merge-patch+json", "application/json-patch+json"
	for _, tc := range []struct{ method, body, contentType, inputs string }{
		{"PATCH", `{"inputs":{"password":null}}`, patch, `{"a":1}`},
		{"PATCH", `{"meta":null}`, patch, ""},
		{"PATCH", `{"results":{"r":1}}`, patch, ""},
		{"PATCH", `{"inputs":{"a":2}}`, patch, `{"a":2,"password":"p"}`},
		{"PUT", `{"inputs":{"a":1}}`, "application/json", `{"a":1}`},
		{"PUT", `{"apiConfig":{"model":"m"}}`, "application/json", ""},
	} {
		for _, byID := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.method, tc.body, byID), func(t *testing.T) {
				c, id := fresh(t)
				path := "/api/session"
				if byID {
					path = "/api/sessions/" + id
				}
				a := c.do(tc.method, path, tc.body, "Content-Type", tc.contentType).expect(200)
				if tc.inputs != "" {
					assert.Equal(t, tc.inputs, string(a.document().Inputs))
				}
				c.do("PATCH", path, `{"inputs":{"password":"q"}}`).problem(422, "validation_failed")
				c.do("PATCH", path, `{"meta":{"password":"p"}}`).problem(422, "validation_failed")
				c.do("PUT", path, `{"results":{"apikey":"k"}}`).problem(422, "validation_failed")
			})
		}
	}
	t.Run("operations", func(t *testing.T) {
		c, _ := fresh(t)
		do := func(ops string) *answer {
			return c.do("POST", "/api/session/operations", ops, "Content-Type", operations)
		}
		do(`[{"op":"add","path":"/results/r","value":1}]`).expect(200)
		do(`[{"op":"add","path":"/inputs/o","value":{"password":"p"}}]`).problem(422, "validation_failed")
		do(`[{"op":"remove","path":"/inputs/password"}]`).expect(200)
		do(`[{"op":"remove","path":"/meta/l/0/APIKEY"}]`).expect(200)
		do(`[{"op":"add","path":"/inputs/password","value":"p"}]`).problem(422, "validation_failed")
	})
	t.Run("read, changed and sent back", func(t *testing.T) {
		c, _ := fresh(t)
		whole := string(c.do("GET", "/api/session", "").expect(200).body)
		c.do("PUT", "/api/session", whole).expect(200)
		c.do("PUT", "/api/session", strings.Replace(whole, `"a":1`, `"a":2`, 1)).expect(200)
		c.do("PUT", "/api/session", strings.Replace(whole, `"password":"p"`, `"password":"q"`, 1)).problem(422, "validation_failed")
		c.do("POST", "/api/session/touch", "").expect(200)
		c.do("POST", "/api/session/regenerate", "").expect(200)
		c.do("DELETE", "/api/session", "").expect(204)
	})
}

func TestAUserWithMoreSessionsThanALoweredLimit(t *testing.T) {
	for _, evict := range []bool{true, false} {
		s := start(t)
		var clients []*client
		for range 4 {
			c := s.client()
			c.create(`{"user":{"id":"ada"}}`)
			clients = append(clients, c)
			s.clock.advance(time.Second)
		}
		next := s.restarted(t, func(set *settings) { set.limit = store.UserLimit{Max: 2, Evict: evict} })
		for _, c := range clients {
			c.at(next).do("PATCH", "/api/session", `{"inputs":{"a":1}}`).expect(200)
			c.at(next).do("POST", "/api/session/regenerate", "").expect(200)
		}
		fresh := next.client().do("POST", "/api/session", `{"user":{"id":"ada"}}`)
		if evict {
			fresh.expect(http.StatusCreated)
			assert.EqualValues(t, 2, next.client().do("GET", "/stats", "").json()["entryCount"])
			continue
		}
		fresh.expect(http.StatusConflict)
		for _, c := range clients[1:] {
			c.at(next).do("DELETE", "/api/session", "").expect(204)
		}
		next.client().do("POST", "/api/session", `{"user":{"id":"ada"}}`).expect(http.StatusCreated)
	}
}
