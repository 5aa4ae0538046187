package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
)

func TestWholeLifeOfASession(t *testing.T) {
	s := start(t)
	c := s.client()

	made := c.do("POST", "/api/session", `{"user":{"id":"u-1","email":"a@example.com","roles":["editor"]},"inputs":{"step":1},"apiConfig":{"model":"m-1"}}`).expect(201)
	assert.Equal(t, "/api/session", made.Header.Get("Location"))
	d := made.document()
	assert.True(t, schema.ValidID(d.ID))
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), d.ExpiresAt)
	assert.Equal(t, 1, d.Version)

	read := c.do("GET", "/api/session", "").expect(200)
	assert.JSONEq(t, string(made.body), string(read.body), "a read right after the creation has nothing to move")
	assert.Equal(t, made.Header.Get("ETag"), read.Header.Get("ETag"))
	assert.Empty(t, read.Header["Set-Cookie"])

	d = c.do("PUT", "/api/session", `{"results":{"score":1.50}}`).expect(200).document()
	assert.Equal(t, 2, d.Revision)
	assert.JSONEq(t, `{"step":1}`, string(d.Inputs), "what PUT does not name stays")
	assert.Equal(t, `{"score":1.50}`, string(d.Results), "digit for digit")

	d = c.do("PATCH", "/api/session", `{"inputs":{"name":"Ada","step":null}}`).expect(200).document()
	assert.Equal(t, 3, d.Revision)
	assert.JSONEq(t, `{"name":"Ada"}`, string(d.Inputs))

	changed := c.do("POST", "/api/session/operations", `[{"op":"add","path":"/user/roles/-","value":"admin"}]`).expect(200)
	d = changed.document()
	assert.Equal(t, []string{"editor", "admin"}, d.User.Roles)

	head := c.do("HEAD", "/api/session", "").expect(200)
	assert.Empty(t, head.body)
	assert.Equal(t, changed.Header.Get("ETag"), head.Header.Get("ETag"))
	assert.NotEqual(t, made.Header.Get("ETag"), head.Header.Get("ETag"))

	s.clock.advance(time.Second)
	touched := c.do("POST", "/api/session/touch", "").expect(200)
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), touched.document().ExpiresAt)
	assert.Equal(t, 4, touched.document().Revision)
	assert.NotEmpty(t, touched.Header["Set-Cookie"], "the cookie lives as long as the session")

	old := c.token()
	renewed := c.do("POST", "/api/session/regenerate", "").expect(200).document()
	assert.NotEqual(t, d.ID, renewed.ID)
	assert.Equal(t, 4, renewed.Revision)
	assert.Equal(t, d.CreatedAt, renewed.CreatedAt)
	assert.JSONEq(t, string(d.Inputs), string(renewed.Inputs))
	s.client().do("GET", "/api/session", "", "Cookie", cookieName+"="+old).problem(401, "unauthorized")
	assert.Equal(t, renewed.ID, c.do("GET", "/api/session", "").expect(200).document().ID)

	gone := c.do("DELETE", "/api/session", "").expect(204)
	assert.Contains(t, gone.Header.Get("Set-Cookie"), "Max-Age=0")
	assert.Empty(t, c.token())
	c.do("GET", "/api/session", "").problem(401, "no_credential")
	c.do("DELETE", "/api/session", "").expect(204)
}

func TestCreateEndsTheSessionItCameWith(t *testing.T) {
	c := start(t).client()
	c.create("")
	old := c.token()
	c.create(`{"inputs":{"a":1}}`)
	require.NotEqual(t, old, c.token())
	c.s.client().do("GET", "/api/session", "", "Cookie", cookieName+"="+old).problem(401, "unauthorized")
	c.do("GET", "/api/session", "").expect(200)

	c.do("POST", "/api/session", `{"inputs":1}`).problem(422, "validation_failed")
	c.do("GET", "/api/session", "").expect(200)
}

func TestPutResetsWithNullAndTakesTheWholeDocumentBack(t *testing.T) {
	c := start(t, withServiceTokens).client()
	c.do("POST", "/api/session", `{"user":{"id":"u"},"inputs":{"a":1},"meta":{"b":2}}`, "Authorization", "Bearer "+serviceToken).expect(201)

	whole := c.do("GET", "/api/session", "").expect(200)
	same := c.do("PUT", "/api/session", string(whole.body)).expect(200)
	assert.JSONEq(t, string(whole.body), string(same.body), "nothing changed, and the user may be sent back by anybody")

	d := c.do("PUT", "/api/session", `{"inputs":null,"id":"mine","revision":99}`).expect(200).document()
	assert.Equal(t, 2, d.Revision)
	assert.JSONEq(t, `{}`, string(d.Inputs))
	assert.JSONEq(t, `{"b":2}`, string(d.Meta))
}

func TestTwoWritersWithOneETag(t *testing.T) {
	c := start(t).client()
	tag := c.do("POST", "/api/session", "").expect(201).Header.Get("ETag")
	const writers = 8
	statuses := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			statuses[i] = c.do("PUT", "/api/session", fmt.Sprintf(`{"inputs":{"writer":%d}}`, i), "If-Match", tag).StatusCode
		})
	}
	wg.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
		} else {
			assert.Equal(t, http.StatusPreconditionFailed, status)
		}
	}
	assert.Equal(t, 1, won)
}

func TestConcurrentPatchesLoseNothing(t *testing.T) {
	c := start(t).client()
	c.create("")
	const writers = 64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			c.do("PATCH", "/api/session", fmt.Sprintf(`{"inputs":{"k%d":%d}}`, i, i)).expect(200)
		})
	}
	wg.Wait()
	d := c.do("GET", "/api/session", "").expect(200).document()
	var inputs map[string]int
	require.NoError(t, json.Unmarshal(d.Inputs, &inputs))
	assert.Len(t, inputs, writers)
	assert.Equal(t, writers+1, d.Revision)
}

func TestConditionalRequests(t *testing.T) {
	c := start(t).client()
	tag := c.do("POST", "/api/session", "").expect(201).Header.Get("ETag")

	read := c.do("GET", "/api/session", "", "If-None-Match", tag).expect(304)
	assert.Equal(t, tag, read.Header.Get("ETag"))
	assert.Empty(t, read.body)
	c.do("GET", "/api/session", "", "If-None-Match", `W/`+tag).expect(304)
	c.do("GET", "/api/session", "", "If-None-Match", `"7", `+tag).expect(304)
	c.do("GET", "/api/session", "", "If-None-Match", `*`).expect(304)
	c.do("GET", "/api/session", "", "If-None-Match", `"1"`).expect(200)
	c.do("GET", "/api/session", "", "If-None-Match", `1`).problem(400, "invalid_header")

	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		body := `{"meta":{"m":"` + method + `"}}`
		c.do(method, "/api/session", body, "If-Match", `1`).problem(400, "invalid_header")
		c.do(method, "/api/session", body, "If-Match", `"1`).problem(400, "invalid_header")
		c.do(method, "/api/session", body, "If-Match", `W/`+tag).problem(412, "precondition_failed")
		c.do(method, "/api/session", body, "If-Match", `"1"`).problem(412, "precondition_failed")
	}
	c.do("POST", "/api/session/operations", `[]`, "If-Match", `"1"`).problem(412, "precondition_failed")
	tag = c.do("PUT", "/api/session", `{"meta":{"a":1}}`, "If-Match", `*`).expect(200).Header.Get("ETag")
	tag = c.do("PUT", "/api/session", `{"meta":{"a":2}}`, "If-Match", `"1", `+tag).expect(200).Header.Get("ETag")
	c.do("DELETE", "/api/session", "", "If-Match", tag).expect(204)
	c.do("PUT", "/api/session", `{}`, "If-Match", `*`).problem(401, "no_credential")
	c.do("DELETE", "/api/session", "", "If-Match", `*`).expect(204)
}

func TestRequireIfMatch(t *testing.T) {
	c := start(t, func(s *settings) { s.RequireIfMatch = true }).client()
	tag := c.do("POST", "/api/session", "").expect(201).Header.Get("ETag")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		c.do(method, "/api/session", `{}`).problem(428, "precondition_required")
	}
	c.do("POST", "/api/session/operations", `[]`).problem(428, "precondition_required")
	tag = c.do("PUT", "/api/session", `{"meta":{"a":1}}`, "If-Match", tag).expect(200).Header.Get("ETag")
	c.do("POST", "/api/session/touch", "").expect(200)
	c.do("DELETE", "/api/session", "", "If-Match", tag).expect(204)
}

func TestBearerTransport(t *testing.T) {
	s := start(t)
	c := s.client()
	made := c.do("POST", "/api/session?transport=bearer", `{"inputs":{"a":1}}`).expect(201)
	assert.Empty(t, made.Header["Set-Cookie"])
	token := made.document().Token
	require.NotEmpty(t, token)
	auth := []string{"Authorization", "Bearer " + token}

	read := c.do("GET", "/api/session", "", auth...).expect(200)
	assert.Empty(t, read.document().Token, "only a new token is told")
	s.clock.advance(time.Hour)
	read = c.do("GET", "/api/session", "", auth...).expect(200)
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), read.document().ExpiresAt)
	assert.Empty(t, read.Header["Set-Cookie"], "a bearer gets no cookie")

	renewed := c.do("POST", "/api/session/regenerate", "", auth...).expect(200)
	assert.Empty(t, renewed.Header["Set-Cookie"])
	require.NotEmpty(t, renewed.document().Token)
	c.do("GET", "/api/session", "", auth...).problem(401, "unauthorized")
	c.do("GET", "/api/session", "", "Authorization", "bearer  "+renewed.document().Token).expect(200)
	c.do("POST", "/api/session?transport=pigeon", "").problem(400, "invalid_query")
	c.do("POST", "/api/session?transport=bearer&transport=bearer", "").problem(400, "invalid_query")
}

func TestDeadlines(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.do("POST", "/api/session", `{"ttlMs":1000}`).expect(201).document()
	assert.Equal(t, s.clock.Now().Add(time.Second), d.ExpiresAt)

	s.clock.advance(999 * time.Millisecond)
	c.do("HEAD", "/api/session", "").expect(200)
	assert.Equal(t, d.ExpiresAt, c.do("GET", "/api/session?touch=false", "").expect(200).document().ExpiresAt)
	moved := c.do("GET", "/api/session", "").expect(200)
	assert.Equal(t, s.clock.Now().Add(time.Second), moved.document().ExpiresAt)
	assert.Contains(t, moved.Header.Get("Set-Cookie"), "Max-Age=1;")

	s.clock.advance(time.Second)
	for _, method := range []string{"GET", "PUT", "PATCH"} {
		c.do(method, "/api/session", `{}`).problem(401, "unauthorized")
	}
	c.do("HEAD", "/api/session", "").expect(401)
	c.do("POST", "/api/session/touch", "").problem(401, "unauthorized")
	c.do("POST", "/api/session/regenerate", "").problem(401, "unauthorized")
	c.do("DELETE", "/api/session", "").expect(204)
}

func TestTouchSetsTheSessionsOwnLife(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	d := c.do("POST", "/api/session/touch", `{"ttlMs":5000}`).expect(200).document()
	assert.Equal(t, s.clock.Now().Add(5*time.Second), d.ExpiresAt)
	s.clock.advance(4 * time.Second)
	d = c.do("PATCH", "/api/session", `{"meta":{"a":1}}`).expect(200).document()
	assert.Equal(t, s.clock.Now().Add(5*time.Second), d.ExpiresAt)
	d = c.do("PATCH", "/api/session", `{"ttlMs":60000}`).expect(200).document()
	assert.Equal(t, s.clock.Now().Add(time.Minute), d.ExpiresAt)
	assert.Equal(t, 2, d.Revision, "a longer life changes no section")

	for _, ttl := range []string{"0", "-1", "1.5", "1e-3", "1e400", `"5"`, "null", "99999999999999999999", "2592000001"} {
		c.do("POST", "/api/session/touch", `{"ttlMs":`+ttl+`}`).problem(422, "validation_failed")
		c.do("POST", "/api/session", `{"ttlMs":`+ttl+`}`).problem(422, "validation_failed")
	}
	c.do("POST", "/api/session/touch", `{"ttl":1}`).problem(422, "validation_failed")

	// A whole number is one in any spelling.
	for _, ttl := range []string{"60000.0", "6e4", "6E+4", "600000e-1"} {
		d := c.do("POST", "/api/session/touch", `{"ttlMs":`+ttl+`}`).expect(200).document()
		assert.Equal(t, s.clock.Now().Add(time.Minute), d.ExpiresAt, ttl)
		d = s.client().do("POST", "/api/session", `{"ttlMs":`+ttl+`}`).expect(201).document()
		assert.Equal(t, s.clock.Now().Add(time.Minute), d.ExpiresAt, ttl)
	}
}

func TestTouchOnAccessCanBeOff(t *testing.T) {
	s := start(t, func(s *settings) { s.TouchOnAccess = false })
	c := s.client()
	d := c.create("")
	s.clock.advance(time.Hour)
	assert.Equal(t, d.ExpiresAt, c.do("GET", "/api/session", "").expect(200).document().ExpiresAt)
	assert.Equal(t, d.ExpiresAt, c.do("PATCH", "/api/session", `{"meta":{"a":1}}`).expect(200).document().ExpiresAt)
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), c.do("GET", "/api/session?touch=true", "").expect(200).document().ExpiresAt)
}

func TestAutoCreate(t *testing.T) {
	s := start(t, func(s *settings) { s.AutoCreate = true })
	c := s.client()
	d := c.do("GET", "/api/session", "").expect(200).document()
	assert.Equal(t, d.ID, c.do("GET", "/api/session", "").expect(200).document().ID)

	put := s.client().do("PUT", "/api/session", `{"inputs":{"a":1}}`).expect(201)
	assert.Equal(t, "/api/session", put.Header.Get("Location"))
	d = put.document()
	assert.JSONEq(t, `{"a":1}`, string(d.Inputs))
	patched := s.client().do("PATCH", "/api/session", `{"inputs":{"b":1}}`).expect(201)
	assert.Equal(t, "/api/session", patched.Header.Get("Location"))
	d = patched.document()
	assert.JSONEq(t, `{"b":1}`, string(d.Inputs))

	forged := s.client().do("GET", "/api/session", "", "Cookie", cookieName+"=s:"+d.ID+".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect(200)
	assert.NotEqual(t, d.ID, forged.document().ID)
	s.client().do("PUT", "/api/session", `{}`, "If-Match", "*").problem(412, "precondition_failed")
	s.client().do("HEAD", "/api/session", "").expect(401)
	s.client().do("POST", "/api/session/operations", `[]`).problem(401, "no_credential")
	s.client().do("GET", "/api/session", "", "Authorization", "Bearer s:"+d.ID+".x").problem(401, "unauthorized")
}

func TestRegenerateWithGrace(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(`{"inputs":{"a":1}}`)
	old := s.client()
	cookie := []string{"Cookie", cookieName + "=" + c.token()}
	d := c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200).document()

	s.clock.advance(4999 * time.Millisecond)
	read := old.do("GET", "/api/session", "", cookie...).expect(200)
	assert.Equal(t, d.ID, read.document().ID)
	assert.Empty(t, read.Header["Set-Cookie"], "the grace never renews a cookie")
	old.do("HEAD", "/api/session", "", cookie...).expect(200)
	again := old.do("POST", "/api/session/regenerate", "", cookie...).expect(200)
	assert.Equal(t, d.ID, again.document().ID, "one successor")
	assert.Empty(t, again.Header["Set-Cookie"])
	assert.Empty(t, again.document().Token)

	s.clock.advance(time.Millisecond)
	old.do("GET", "/api/session", "", cookie...).problem(401, "unauthorized")
	c.do("GET", "/api/session", "").expect(200)

	cookie[1] = cookieName + "=" + c.token()
	c.do("POST", "/api/session/regenerate", `{"graceMs":3600000}`).expect(200)
	s.clock.advance(time.Minute)
	old.do("GET", "/api/session", "", cookie...).problem(401, "unauthorized")
	for _, grace := range []string{"-1", "1.5", `"1"`, "null"} {
		c.do("POST", "/api/session/regenerate", `{"graceMs":`+grace+`}`).problem(422, "validation_failed")
	}
}

func TestSigningOutWithATokenInItsGraceEndsTheSuccessor(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	cookie := []string{"Cookie", cookieName + "=" + c.token()}
	c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200)
	s.client().do("DELETE", "/api/session", "", cookie...).expect(204)
	c.do("GET", "/api/session", "").problem(401, "unauthorized")
	s.client().do("GET", "/api/session", "", cookie...).problem(401, "unauthorized")
}

func TestConcurrentRegeneratesMakeOneSuccessor(t *testing.T) {
	for _, grace := range []string{"", `{"graceMs":5000}`} {
		s := start(t)
		c := s.client()
		c.create("")
		cookie := []string{"Cookie", cookieName + "=" + c.token()}
		var mu sync.Mutex
		issued := map[string]bool{}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				a := s.client().do("POST", "/api/session/regenerate", grace, cookie...)
				mu.Lock()
				defer mu.Unlock()
				for _, set := range a.Header["Set-Cookie"] {
					issued[set] = true
				}
			})
		}
		wg.Wait()
		assert.Len(t, issued, 1)
	}
}

func withServiceTokens(s *settings) {
	s.Secrets.Service = services("another-service-token-of-32-bytes!!", serviceToken)
}

func TestOnlyServicesWriteTheUser(t *testing.T) {
	s := start(t, withServiceTokens)
	service := []string{"Authorization", "Bearer " + serviceToken}
	c := s.client()
	c.do("POST", "/api/session", `{"user":{"id":"root","roles":["admin"]}}`).problem(403, "user_forbidden")
	c.do("POST", "/api/session", `{"user":null}`).expect(201)
	c.do("PUT", "/api/session", `{"user":{"id":"root"}}`).problem(403, "user_forbidden")
	c.do("PATCH", "/api/session", `{"user":{"id":"root"}}`).problem(403, "user_forbidden")
	c.do("POST", "/api/session/operations", `[{"op":"add","path":"/user","value":{"id":"root"}}]`).problem(403, "user_forbidden")
	c.do("POST", "/api/session/operations", `[{"op":"add","path":"/meta/u","value":{"id":"root"}},{"op":"move","from":"/meta/u","path":"/user"}]`).problem(403, "user_forbidden")
	assert.Equal(t, 1, c.do("GET", "/api/session", "").expect(200).document().Revision)

	c.do("PATCH", "/api/session", `{"user":{"id":"u-1"}}`, "Authorization", "Bearer wrong").problem(401, "unauthorized")
	d := c.do("PATCH", "/api/session", `{"user":{"id":"u-1","roles":["editor"]}}`, service...).expect(200).document()
	assert.Equal(t, "u-1", d.User.ID)
	c.do("PATCH", "/api/session", `{"user":{"roles":["admin"]}}`).problem(403, "user_forbidden")
	c.do("PATCH", "/api/session", `{"user":null}`).problem(403, "user_forbidden")
}

func TestRoleAndAbsoluteLives(t *testing.T) {
	s := start(t, func(s *settings) {
		s.life.Roles = map[string]time.Duration{"admin": 15 * time.Minute, "guest": time.Hour}
		s.life.Absolute = 2 * time.Hour
	})
	c := s.client()
	d := c.create(`{"user":{"id":"a","roles":["guest","admin"]},"ttlMs":7200000}`)
	assert.Equal(t, s.clock.Now().Add(15*time.Minute), d.ExpiresAt)

	c = s.client()
	d = c.create(`{"user":{"id":"a","roles":["guest"]}}`)
	for range 3 {
		s.clock.advance(30 * time.Minute)
		c.do("GET", "/api/session", "").expect(200)
	}
	got := c.do("POST", "/api/session/touch", "").expect(200).document()
	assert.Equal(t, d.CreatedAt.Add(2*time.Hour), got.ExpiresAt, "the absolute end")
	c.do("POST", "/api/session/regenerate", "").expect(200)
	s.clock.advance(30 * time.Minute)
	c.do("GET", "/api/session", "").problem(401, "unauthorized")
}

func TestCreationRate(t *testing.T) {
	s := start(t, func(s *settings) {
		s.CreatePerMinute = 3
		s.TrustedProxies = prefixes("127.0.0.1/32", "10.0.0.0/8")
		withServiceTokens(s)
		s.AutoCreate = true
	})
	from := func(ip string) []string { return []string{"X-Forwarded-For", ip} }
	for range 3 {
		s.client().do("POST", "/api/session", "", from("192.0.2.1")...).expect(201)
	}
	limited := s.client().do("POST", "/api/session", "", from("192.0.2.1")...)
	limited.problem(429, "rate_limited")
	assert.Equal(t, "60", limited.Header.Get("Retry-After"))
	s.client().do("GET", "/api/session", "", from("192.0.2.1")...).problem(429, "rate_limited")
	s.client().do("POST", "/api/session", "", from("203.0.113.9, 192.0.2.1, 10.0.0.3")...).problem(429, "rate_limited")
	s.client().do("POST", "/api/session", "", from("192.0.2.2")...).expect(201)
	s.client().do("POST", "/api/session", "", append(from("192.0.2.1"), "Authorization", "Bearer "+serviceToken)...).expect(201)
}

func TestForwardedHeadersOfStrangersDoNotCount(t *testing.T) {
	s := start(t, func(s *settings) { s.CreatePerMinute = 1 })
	s.client().do("POST", "/api/session", "", "X-Forwarded-For", "192.0.2.1").expect(201)
	s.client().do("POST", "/api/session", "", "X-Forwarded-For", "192.0.2.2", "X-Real-Ip", "192.0.2.3", "Forwarded", "for=192.0.2.4").problem(429, "rate_limited")
}

func TestSecretsRotate(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	next := []byte("the-next-secret-that-is-32-bytes-long")
	require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{next, []byte(secret)}}))
	c.do("GET", "/api/session", "").expect(200)
	c.do("POST", "/api/session/touch", "").expect(200) // the cookie comes again, signed with the new secret
	require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{next}}))
	c.do("GET", "/api/session", "").expect(200)
	require.NoError(t, s.api.SetSecrets(api.Secrets{Session: [][]byte{[]byte("a-third-secret-that-is-32-bytes-long!")}}))
	c.do("GET", "/api/session", "").problem(401, "unauthorized")
	require.Error(t, s.api.SetSecrets(api.Secrets{}))
}
