package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestCreateOrLoad(t *testing.T) {
	none := []string{"If-None-Match", "*"}
	s := start(t, withServiceTokens)
	c := s.client()
	made := c.do("POST", "/api/session", `{"inputs":{"a":1}}`, none...).expect(201)
	assert.Equal(t, "/api/session", made.Header.Get("Location"))
	d := made.document()
	s.clock.advance(time.Hour)
	loaded := c.do("POST", "/api/session", `{"inputs":{"a":2},"ttlMs":1000}`, none...).expect(200)
	got := loaded.document()
	assert.Equal(t, d.ID, got.ID)
	assert.JSONEq(t, `{"a":1}`, string(got.Inputs), "the body counts for nothing")
	assert.Equal(t, made.Header.Get("ETag"), loaded.Header.Get("ETag"))
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), got.ExpiresAt, "it is a use")
	assert.Len(t, loaded.Header["Set-Cookie"], 1)
	assert.Empty(t, loaded.Header["Location"])

	c.do("POST", "/api/session", `{"inputs":1}`, none...).problem(422, "validation_failed")
	c.do("POST", "/api/session", "", "If-None-Match", "1").problem(400, "invalid_header")
	c.do("POST", "/api/session", "", "If-None-Match", made.Header.Get("ETag")).expect(200)
	bearer := c.do("POST", "/api/session?transport=bearer", "", none...).expect(200)
	assert.Empty(t, bearer.document().Token, "a cookie's token stays out of reach of scripts")

	token := []string{"Authorization", "Bearer " + s.tokenOfNew()}
	assert.Empty(t, s.client().do("POST", "/api/session", "", append(token, none...)...).expect(200).Header["Set-Cookie"])

	another := c.do("POST", "/api/session", "", "If-None-Match", `"another"`).expect(201).document()
	assert.NotEqual(t, d.ID, another.ID)
	c.do("DELETE", "/api/session", "").expect(204)
	c.do("POST", "/api/session", "", none...).expect(201)
}

func TestCreateOrLoadWithWhatOpensNothing(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	dead := cookieName + "=" + c.token()
	c.do("DELETE", "/api/session", "").expect(204)
	for name, cookies := range map[string]string{"ended": dead, "forged": dead + "x", "both": dead + "; " + dead + "x", "empty": cookieName + "="} {
		a := s.client().do("POST", "/api/session", "", "Cookie", cookies, "If-None-Match", "*").expect(201)
		assert.Len(t, a.Cookies(), 1, name)
	}
	two := cookieName + "=" + s.tokenOfNew() + "; " + cookieName + "=" + s.tokenOfNew()
	a := s.client().do("POST", "/api/session", "", "Cookie", two, "If-None-Match", "*")
	a.problem(400, "conflicting_credentials")
	assert.NotEmpty(t, a.Header["Set-Cookie"])
}

// A page loads while it signs in: whatever of its requests comes first, the
// session that was signed in stays, and stays the browser's.
func TestCreateOrLoadBesideASignIn(t *testing.T) {
	for range 30 {
		s := start(t)
		c := s.client()
		d := c.create("")
		old := cookieName + "=" + c.token()
		loaded := make(chan *answer)
		go func() {
			loaded <- s.client().do("POST", "/api/session", "", "Cookie", old, "If-None-Match", "*")
		}()
		next := s.client().do("POST", "/api/sessions/"+d.ID+"/regenerate", `{"graceMs":10000}`).expect(200).handedOver()
		a := <-loaded
		assert.Equal(t, 200, a.StatusCode)
		s.client().do("HEAD", "/api/sessions/"+next.Session.ID, "").expect(200)
		for _, cookie := range a.Cookies() {
			assert.NotContains(t, cookie.Value, next.Session.ID)
			assert.Contains(t, cookie.Value, d.ID, "no session but the page's own")
		}

		// Without a grace the page gets another session, and ends none.
		last := s.client().do("POST", "/api/sessions/"+next.Session.ID+"/regenerate", "").expect(200).handedOver()
		s.client().do("POST", "/api/session", "", append(cookieOf(next.SetCookie), "If-None-Match", "*")...).expect(201)
		s.client().do("HEAD", "/api/sessions/"+last.Session.ID, "").expect(200)
	}
}
