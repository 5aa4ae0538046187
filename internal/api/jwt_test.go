package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/jwt"
	"session-api/internal/store/backend"
)

const signedInUser = `{"user":{"id":"u-1042","email":"ada@example.org","roles":["editor"],"auth":{"time":"2026-11-21T17:00:00Z","methods":["otp"],"level":"aal2"}},"meta":{"plan":"pro"}}`

// signIn makes a session of signedInUser for the client, and returns its id.
func (c *client) signIn() string {
	c.s.t.Helper()
	made := c.do("POST", "/api/sessions", signedInUser, asService...).expect(http.StatusCreated)
	var answer struct {
		Session   document
		SetCookie string
	}
	require.NoError(c.s.t, json.Unmarshal(made.body, &answer))
	cookie, err := http.ParseSetCookie(answer.SetCookie)
	require.NoError(c.s.t, err)
	u, err := url.Parse(c.s.url)
	require.NoError(c.s.t, err)
	c.http.Jar.SetCookies(u, []*http.Cookie{cookie})
	return answer.Session.ID
}

// jwt requests a JWT of the client's session.
func (c *client) jwt(body string) string {
	c.s.t.Helper()
	answer := c.do("POST", "/api/session/token", body).expect(http.StatusOK).json()
	assert.Equal(c.s.t, "Bearer", answer["tokenType"])
	text, _ := answer["token"].(string)
	return text
}

// verified returns the claims of a JWT that the published keys verify, with the standard
// library alone.
func (s *service) verified(token string) map[string]any {
	s.t.Helper()
	var set struct{ Keys []struct{ Kid, X, Y string } }
	require.NoError(s.t, json.Unmarshal(s.client().do("GET", "/.well-known/jwks.json", "").expect(http.StatusOK).body, &set))
	parts := strings.Split(token, ".")
	require.Len(s.t, parts, 3)
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(s.t, err)
		return b
	}
	var header map[string]string
	require.NoError(s.t, json.Unmarshal(decode(parts[0]), &header))
	require.Equal(s.t, "ES256", header["alg"])
	for _, k := range set.Keys {
		if k.Kid != header["kid"] {
			continue
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, decode(k.X), decode(k.Y)))
		require.NoError(s.t, err)
		sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), decode(parts[2])
		require.True(s.t, ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])))
		var claims map[string]any
		require.NoError(s.t, json.Unmarshal(decode(parts[1]), &claims))
		return claims
	}
	require.Fail(s.t, "no published key", "%v", header)
	return nil
}

// introspect asks about a token as a service.
func (s *service) introspect(token string) map[string]any {
	s.t.Helper()
	a := s.client().do("POST", "/api/session/introspect", url.Values{"token": {token}}.Encode(),
		slices.Concat([]string{"Content-Type", "application/x-www-form-urlencoded"}, asService)...)
	assert.Equal(s.t, "no-store", a.Header.Get("Cache-Control"))
	return a.expect(http.StatusOK).json()
}

var inactive = map[string]any{"active": false}

func TestJWT(t *testing.T) {
	s := start(t, withServiceTokens, func(o *settings) { o.JWT.Mappings = []jwt.Mapping{{Claim: "plan", Path: []string{"meta", "plan"}}} })
	c := s.client()
	id := c.signIn()
	now := s.clock.Now()

	answer := c.do("POST", "/api/session/token", `{"audience":"https://orders.example.com","ttlMs":60000}`).expect(http.StatusOK)
	assert.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	assert.Equal(t, now.Add(time.Minute).Truncate(time.Second).Format("2006-01-02T15:04:05.000Z"), answer.json()["expiresAt"])
	token, _ := answer.json()["token"].(string)
	claims := s.verified(token)
	assert.Equal(t, map[string]any{
		"iss": issuer, "aud": "https://orders.example.com", "sub": "u-1042", "sid": id, "jti": claims["jti"],
		"iat": float64(now.Unix()), "exp": float64(now.Unix() + 60), "auth_time": float64(1795280400), "amr": []any{"otp"}, "acr": "aal2",
		"roles": []any{"editor"}, "plan": "pro",
	}, claims)
	usual := s.verified(c.jwt(""))
	assert.Equal(t, issuer, usual["aud"])
	assert.InDelta(t, 300, usual["exp"].(float64)-usual["iat"].(float64), 0)
	assert.NotEqual(t, claims["jti"], usual["jti"])

	// It opens no session.
	for _, path := range []string{"/api/session", "/api/session/verify", "/api/sessions"} {
		s.client().do("GET", path, "", "Authorization", "Bearer "+token).problem(http.StatusUnauthorized, "unauthorized")
	}
	s.client().do("GET", "/api/session", "", "Cookie", cookieName+"="+token).problem(http.StatusUnauthorized, "unauthorized")
	assert.NotContains(t, s.log.String(), token)
	assert.NotContains(t, s.log.String(), id)

	// A bearer token does what the cookie does.
	bearer := s.client().do("POST", "/api/session?transport=bearer", "").expect(http.StatusCreated).document()
	anonymous := s.client().do("POST", "/api/session/token", "", "Authorization", "Bearer "+bearer.Token, "Sec-Fetch-Site", "cross-site").expect(http.StatusOK).json()
	claims = s.verified(anonymous["token"].(string))
	assert.Equal(t, bearer.ID, claims["sid"])
	assert.NotContains(t, claims, "sub")
}

func TestJWT_refused(t *testing.T) {
	s := start(t, withServiceTokens, func(o *settings) { o.JWT.Audience = []string{"one", "two"} })
	c := s.client()
	c.create("")
	s.client().do("POST", "/api/session/token", "").problem(http.StatusUnauthorized, "no_credential")
	s.client().do("POST", "/api/session/token", "", "Cookie", cookieName+"=s%3Anone").problem(http.StatusUnauthorized, "unauthorized")
	s.client().do("POST", "/api/session/token", "", asService...).problem(http.StatusUnauthorized, "no_credential")
	c.do("POST", "/api/session/token", "", "Origin", "https://evil.example").problem(http.StatusForbidden, "forbidden_origin")
	c.do("POST", "/api/session/token?audience=one", "").problem(http.StatusBadRequest, "invalid_query")
	c.do("POST", "/api/session/token", `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	c.do("GET", "/api/session/token", "").problem(http.StatusMethodNotAllowed, "method_not_allowed")
	for _, body := range []string{`null`, `[1]`, `"x"`, `{"audience":"one","audience":"two"}`, `{} {}`, `{`} {
		c.do("POST", "/api/session/token", body).problem(http.StatusBadRequest, "invalid_json")
	}
	for body, pointer := range map[string]string{
		`{"scope":"all"}`: "/scope", `{"AUDIENCE":"one"}`: "/AUDIENCE",
		`{"audience":null}`: "/audience", `{"audience":""}`: "/audience", `{"audience":["one"]}`: "/audience", `{"audience":"three"}`: "/audience",
		`{"audience":"` + strings.Repeat("x", 257) + `"}`: "/audience", `{"audience":"one\u0000"}`: "/audience",
		`{"ttlMs":0}`: "/ttlMs", `{"ttlMs":-1}`: "/ttlMs", `{"ttlMs":999}`: "/ttlMs", `{"ttlMs":600001}`: "/ttlMs", `{"ttlMs":1e30}`: "/ttlMs",
		`{"ttlMs":"60000"}`: "/ttlMs", `{"ttlMs":1000.5}`: "/ttlMs", `{"ttlMs":null}`: "/ttlMs",
	} {
		p := c.do("POST", "/api/session/token", body).problem(http.StatusUnprocessableEntity, "validation_failed")
		if assert.Len(t, p.Errors, 1, body) {
			assert.Equal(t, pointer, p.Errors[0].Pointer, body)
		}
	}
	assert.Equal(t, "one", s.verified(c.jwt(""))["aud"])
	assert.Equal(t, "two", s.verified(c.jwt(`{"audience":"two","ttlMs":6e4}`))["aud"])
}

// A JWT is a use of the session, and does not outlive it.
func TestJWT_deadline(t *testing.T) {
	s := start(t, func(o *settings) { o.TouchOnAccess = false })
	c := s.client()
	doc := c.create(`{"ttlMs":60000}`)
	s.clock.advance(10 * time.Second)
	assert.InDelta(t, float64(doc.ExpiresAt.Unix()), s.verified(c.jwt(`{"ttlMs":600000}`))["exp"], 0)
	s.clock.advance(51 * time.Second)
	c.do("POST", "/api/session/token", "").problem(http.StatusUnauthorized, "unauthorized")

	s = start(t)
	c = s.client()
	doc = c.create(`{"ttlMs":600000}`)
	s.clock.advance(5 * time.Minute)
	moved := c.do("POST", "/api/session/token", "").expect(http.StatusOK)
	assert.NotEmpty(t, moved.Header["Set-Cookie"])
	assert.Equal(t, doc.ExpiresAt.Add(5*time.Minute), c.do("GET", "/api/session?touch=false", "").document().ExpiresAt)
}

func TestJWT_disabled(t *testing.T) {
	s := start(t, withServiceTokens, func(o *settings) { o.JWT.Options, o.JWT.Verify = jwt.Options{}, true })
	c := s.client()
	id := c.signIn()
	c.do("POST", "/api/session/token", "").problem(http.StatusNotImplemented, "jwt_disabled")
	c.do("GET", "/.well-known/jwks.json", "").problem(http.StatusNotImplemented, "jwt_disabled")
	assert.NotContains(t, c.do("GET", "/api/session/verify", "").expect(http.StatusOK).Header, "X-Session-Jwt")
	about := s.introspect(c.token())
	assert.Equal(t, true, about["active"])
	assert.Equal(t, id, about["sid"])
	assert.NotContains(t, about, "iss")
	assert.Equal(t, inactive, s.introspect("a.b.c"))
}

func TestKeySet(t *testing.T) {
	s := start(t, func(o *settings) { o.AllowedHosts = []string{"app.example.com"} })
	c := s.client()
	got := c.do("GET", "/.well-known/jwks.json", "").expect(http.StatusOK)
	assert.Equal(t, "public, max-age=900", got.Header.Get("Cache-Control"))
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
	assert.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
	assert.NotContains(t, string(got.body), `"d"`)
	etag := got.Header.Get("ETag")
	known := c.do("GET", "/.well-known/jwks.json", "", "If-None-Match", etag).expect(http.StatusNotModified)
	assert.Equal(t, "public, max-age=900", known.Header.Get("Cache-Control"))
	assert.Equal(t, etag, known.Header.Get("ETag"))
	assert.Empty(t, known.body)
	c.do("GET", "/.well-known/jwks.json", "", "If-None-Match", "x").problem(http.StatusBadRequest, "invalid_header")
	head := c.do("HEAD", "/.well-known/jwks.json", "").expect(http.StatusOK)
	assert.Equal(t, etag, head.Header.Get("ETag"))
	assert.Equal(t, got.Header.Get("Content-Length"), head.Header.Get("Content-Length"))
	c.do("POST", "/.well-known/jwks.json", "").problem(http.StatusMethodNotAllowed, "method_not_allowed")

	// Services in the same network use names of their own.
	r := httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil)
	r.Host = "session-api.internal:8080"
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)

	s.clock.advance(29 * 24 * time.Hour)
	assert.NotEqual(t, etag, c.do("GET", "/.well-known/jwks.json", "", "If-None-Match", etag).expect(http.StatusOK).Header.Get("ETag"), "the next key")
}

// changedSignature returns a token with another signature.
func changedSignature(own string) string {
	at := strings.LastIndexByte(own, '.') + 1
	first := "A"
	if own[at] == 'A' {
		first = "B"
	}
	return own[:at] + first + own[at+1:]
}

// An answer about a token is as of now, whatever the token says.
func TestIntrospect(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	id := c.signIn()
	token, own := c.jwt(`{"ttlMs":60000}`), c.token()
	claims := s.verified(token)
	claims["active"], claims["token_type"] = true, "Bearer"
	assert.Equal(t, claims, s.introspect(token))
	sess := c.do("GET", "/api/session?touch=false", "").document()
	plain, err := url.PathUnescape(own)
	require.NoError(t, err)
	for _, spelling := range []string{own, plain} {
		assert.Equal(t, map[string]any{
			"active": true, "token_type": "Bearer", "iss": issuer, "sub": "u-1042", "sid": id, "roles": []any{"editor"},
			"iat": float64(sess.CreatedAt.Unix()), "exp": float64(sess.ExpiresAt.Unix()), "auth_time": float64(1795280400), "amr": []any{"otp"}, "acr": "aal2",
		}, s.introspect(spelling))
	}
	assert.NotContains(t, s.log.String(), token)

	parts := strings.Split(token, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, bad := range map[string]string{
		"a changed claim": parts[0] + "." + parts[1][:len(parts[1])-2] + "AA." + parts[2], "alg none": none + "." + parts[1] + ".",
		"a service token": serviceToken, "an id": id, "a changed signature": changedSignature(own), "text": "x y", "long": strings.Repeat("a.", 1000),
		"another deployment's": start(t, withServiceTokens).client().jwtOfNew(),
	} {
		assert.Equal(t, inactive, s.introspect(bad), name)
	}

	// An introspection is no use.
	s.clock.advance(30 * time.Second)
	s.introspect(own)
	s.introspect(token)
	assert.Equal(t, sess.ExpiresAt, c.do("GET", "/api/session?touch=false", "").document().ExpiresAt)

	// The role that changes shows in the session's token, not in the JWT.
	c.do("PUT", "/api/sessions/"+id, `{"user":{"id":"u-1042","roles":["admin"]}}`, asService...).expect(http.StatusOK)
	assert.Equal(t, []any{"editor"}, s.introspect(token)["roles"])
	assert.Equal(t, []any{"admin"}, s.introspect(own)["roles"])
	// Another user's session it is not.
	c.do("PUT", "/api/sessions/"+id, `{"user":{"id":"u-7"}}`, asService...).expect(http.StatusOK)
	assert.Equal(t, inactive, s.introspect(token))
	other := c.jwt("")
	assert.Equal(t, "u-7", s.introspect(other)["sub"])

	s.clock.advance(5 * time.Minute)
	assert.Equal(t, inactive, s.introspect(other), "expired")
	assert.Equal(t, true, s.introspect(own)["active"])
	last := c.jwt("")
	c.do("DELETE", "/api/session", "").expect(http.StatusNoContent)
	assert.Equal(t, inactive, s.introspect(last), "ended")
	assert.Equal(t, inactive, s.introspect(own))
}

// jwtOfNew returns a JWT of a new session.
func (c *client) jwtOfNew() string {
	c.create("")
	return c.jwt("")
}

// A new id ends the JWTs of the old one, unless it is in its grace.
func TestIntrospect_regenerated(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	c.create("")
	first := c.jwt("")
	c.do("POST", "/api/session/regenerate", `{"graceMs":10000}`).expect(http.StatusOK)
	second := c.jwt("")
	assert.Equal(t, true, s.introspect(first)["active"])
	s.clock.advance(11 * time.Second)
	assert.Equal(t, inactive, s.introspect(first))
	assert.Equal(t, true, s.introspect(second)["active"])
	c.do("POST", "/api/session/regenerate", `{"user":{"id":"u"}}`, asService...).expect(http.StatusOK)
	assert.Equal(t, inactive, s.introspect(second))
}

func TestIntrospect_refused(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	const form = "application/x-www-form-urlencoded"
	c.do("POST", "/api/session/introspect", "token=x", "Content-Type", form).problem(http.StatusUnauthorized, "unauthorized")
	c.create("")
	c.do("POST", "/api/session/introspect", "token=x", "Content-Type", form).problem(http.StatusUnauthorized, "unauthorized")
	ask := func(body, contentType string) *answer {
		return c.do("POST", "/api/session/introspect", body, slices.Concat([]string{"Content-Type", contentType}, asService)...)
	}
	ask("", form).problem(http.StatusBadRequest, "bad_request")
	for _, body := range []string{"x=y", "token=", "token=a&token=b", "token=%zz", "token=a;b=c", "token=\xff"} {
		ask(body, form).problem(http.StatusBadRequest, "bad_request")
	}
	ask(`{"token":"x"}`, "application/json").problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	ask("token="+strings.Repeat("x", 64<<10), form).problem(http.StatusRequestEntityTooLarge, "too_large")
	ask("token=x&token_type_hint=access_token&other=1", form+"; charset=utf-8").expect(http.StatusOK)
}

// A store that cannot be asked is no word on a token.
func TestIntrospect_unavailable(t *testing.T) {
	kept := &brokenStore{}
	s := start(t, withServiceTokens, func(o *settings) { kept.Store = o.store; o.store = kept })
	c := s.client()
	c.create("")
	token := c.jwt("")
	kept.broken = true
	c.do("POST", "/api/session/introspect", "token="+token, slices.Concat([]string{"Content-Type", "application/x-www-form-urlencoded"}, asService)...).
		problem(http.StatusServiceUnavailable, "store_unavailable")
}

// Gateways get a JWT with each request that is granted, and with no other.
func TestVerify_jwt(t *testing.T) {
	s := start(t, withServiceTokens, func(o *settings) { o.JWT.Verify, o.JWT.Audience = true, []string{"app"} })
	c := s.client()
	id := c.signIn()
	const forged = "eyJhbGciOiJub25lIn0.e30."
	first := c.do("GET", "/api/session/verify", "", "X-Session-Jwt", forged).expect(http.StatusOK)
	require.Len(t, first.Header["X-Session-Jwt"], 1)
	token := first.Header.Get("X-Session-Jwt")
	claims := s.verified(token)
	assert.Equal(t, "u-1042", claims["sub"])
	assert.Equal(t, id, claims["sid"])
	assert.Equal(t, "app", claims["aud"])
	assert.Equal(t, true, s.introspect(token)["active"])
	assert.Equal(t, token, c.do("HEAD", "/api/session/verify", "").Header.Get("X-Session-Jwt"), "signed once")
	c.do("PATCH", "/api/session", `{"inputs":{"step":2}}`).expect(http.StatusOK)
	assert.NotEqual(t, token, c.do("GET", "/api/session/verify", "").Header.Get("X-Session-Jwt"), "the session has changed")

	for path, status := range map[string]int{"?role=admin": http.StatusForbidden, "?maxAuthAge=1": http.StatusUnauthorized, "?wrong=1": http.StatusServiceUnavailable} {
		a := c.do("GET", "/api/session/verify"+path, "", "X-Session-Jwt", forged).expect(status)
		assert.NotContains(t, a.Header, "X-Session-Jwt", path)
	}
	assert.NotContains(t, s.client().do("GET", "/api/session/verify", "").expect(http.StatusUnauthorized).Header, "X-Session-Jwt")
	assert.NotContains(t, s.log.String(), token)

	plain := start(t)
	c = plain.client()
	c.create("")
	assert.NotContains(t, c.do("GET", "/api/session/verify", "").expect(http.StatusOK).Header, "X-Session-Jwt")
}

// A JWT that cannot be signed is a failure, which must not look like a visitor without one.
func TestVerify_jwtUnavailable(t *testing.T) {
	kept := &brokenStore{}
	s := start(t, func(o *settings) { kept.Store = o.store; o.store, o.JWT.Verify = kept, true })
	c := s.client()
	c.create("")
	kept.noStates = true
	a := c.do("GET", "/api/session/verify", "").problem(http.StatusServiceUnavailable, "store_unavailable")
	assert.NotEmpty(t, a.Detail)
	kept.noStates = false
	c.do("GET", "/api/session/verify", "").expect(http.StatusOK)
}

var _ backend.Store = (*brokenStore)(nil)
