package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// sign makes a token as the npm package cookie-signature does, written again
// here from its description so that the service is not held against itself.
func sign(id, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id))
	return "s:" + id + "." + strings.TrimRight(base64.StdEncoding.EncodeToString(mac.Sum(nil)), "=")
}

func TestTokenIsCookieSignatures(t *testing.T) {
	// cookie-signature's own example: sign("hello", "tobiiscool").
	assert.Equal(t, "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI", sign("hello", "tobiiscool"))

	c := start(t).client()
	d := c.create("")
	token, err := url.PathUnescape(c.token())
	require.NoError(t, err)
	assert.Equal(t, sign(d.ID, secret), token)
	assert.True(t, strings.HasPrefix(c.token(), "s%3A"), "the cookie is percent-encoded")
}

// countingStore counts what it is asked, to show what never reaches a store.
type countingStore struct {
	backend.Store
	reads int
}

func (c *countingStore) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	c.reads++
	return c.Store.Get(ctx, now, key)
}

func TestTokensThatOpenNothing(t *testing.T) {
	const retired = "a-retired-secret-that-is-32-bytes-long"
	counting := &countingStore{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 100})}
	s := start(t, func(s *settings) { s.store = counting })
	c := s.client()
	d := c.create(`{"ttlMs":600000}`)
	good := sign(d.ID, secret)
	s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+good).expect(200)
	s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+url.QueryEscape(good)).expect(200)
	s.client().do("GET", "/api/session", "", "Cookie", cookieName+"="+good).expect(200)
	s.client().do("GET", "/api/session", "", "Cookie", cookieName+`="`+good+`"`).expect(200)

	id, sig := d.ID, strings.TrimPrefix(good, "s:"+d.ID+".")
	raw, err := base64.RawStdEncoding.DecodeString(sig)
	require.NoError(t, err)
	raw[0] ^= 1
	last := sig[len(sig)-1]
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	sameBits := string(alphabet[strings.IndexByte(alphabet, last)^1])
	unasked := map[string]string{
		"changed bit":           "s:" + id + "." + base64.RawStdEncoding.EncodeToString(raw),
		"another id":            "s:" + strings.Repeat("0", 64) + "." + sig,
		"truncated":             good[:len(good)-1],
		"longer":                good + "A",
		"padded":                good + "=",
		"no signature":          "s:" + id,
		"empty signature":       "s:" + id + ".",
		"bare id":               id,
		"half quoted":           `"` + good,
		"quoted twice":          `""` + good + `""`,
		"non-canonical base64":  "s:" + id + "." + sig[:len(sig)-1] + sameBits,
		"base64url":             "s:" + id + "." + strings.NewReplacer("+", "-", "/", "_").Replace(sig[:42]) + "-",
		"line break in base64":  "s%3A" + id + "." + sig[:20] + "%0A" + sig[20:],
		"encoded twice":         strings.ReplaceAll(url.QueryEscape(good), "%", "%25"),
		"bad escape":            "s%3A" + id + ".%zz",
		"retired secret":        sign(id, retired),
		"another deployment's":  sign(id, "another-deployments-secret-32-bytes"),
		"upper-case prefix":     "S:" + good[2:],
		"id out of the grammar": sign("../../etc/passwd/aaaaaaaa", secret),
		"short id":              sign("abc", secret),
		"10 kB":                 "s:" + strings.Repeat("a", 10<<10) + "." + sig,
	}
	asked := map[string]string{"never stored": sign(schema.NewID(), secret)}
	var first string
	refused := func(name, token string) {
		t.Run(name, func(t *testing.T) {
			a := s.client().do("GET", "/api/session", "", "Cookie", cookieName+"="+token)
			p := a.problem(401, "unauthorized")
			assert.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
			if first == "" {
				first = p.Detail
			}
			assert.Equal(t, first, p.Detail, "every refusal says the same")
			assert.NotContains(t, s.log.String(), token)
		})
	}
	before := counting.reads
	for name, token := range unasked {
		refused(name, token)
	}
	assert.Equal(t, before, counting.reads, "nothing of this is worth a question to the store")
	for name, token := range asked {
		refused(name, token)
	}
	c.do("DELETE", "/api/session", "").expect(204)
	refused("ended", good)
	c2 := s.client()
	d = c2.create(`{"ttlMs":1000}`)
	s.clock.advance(time.Second)
	refused("expired and not swept", sign(d.ID, secret))
}

func TestAuthorizationHeader(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create("")
	good := sign(d.ID, secret)
	for _, value := range []string{"Basic dTpw", "Bearer", "Bearer ", "bearer", "Token abc", "", "Bearer abc", "Bearer " + strings.Repeat("x", 10<<10)} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			s.client().do(method, "/api/session", "", "Authorization", value).problem(401, "unauthorized")
		}
	}
	s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+good, "Authorization", "Bearer "+good).problem(400, "invalid_header")
	c.do("GET", "/api/session", "", "Authorization", "Bearer "+good).expect(200) // both, and the same
	other := s.client().create("")
	c.do("GET", "/api/session", "", "Authorization", "Bearer "+sign(other.ID, secret)).problem(400, "conflicting_credentials")
	c.do("POST", "/api/session", "", "Authorization", "Bearer "+sign(other.ID, secret)).problem(400, "conflicting_credentials")
	c.do("GET", "/api/session", "", "Authorization", "Bearer s:"+d.ID+".bad").problem(400, "conflicting_credentials")
}

func TestCookieHeader(t *testing.T) {
	s := start(t)
	good := sign(s.client().create("").ID, secret)
	other := sign(s.client().create("").ID, secret)
	pair := func(v string) string { return cookieName + "=" + v }
	s.client().do("GET", "/api/session", "", "Cookie", "a=b; "+pair(good)+"; c=d").expect(200)
	s.client().do("GET", "/api/session", "", "Cookie", pair(good)+"; "+pair(good)).expect(200)
	s.client().do("GET", "/api/session", "", "Cookie", pair(good)+"; "+pair(other)).problem(400, "conflicting_credentials")
	s.client().do("GET", "/api/session", "", "Cookie", pair(good)+`; `+pair(`"`+good+`"`)).expect(200)
	s.client().do("GET", "/api/session", "", "Cookie", strings.ToUpper(cookieName)+"="+good).problem(401, "no_credential")
	s.client().do("GET", "/api/session", "", "Cookie", strings.Repeat("a=b; ", 3000)).problem(401, "no_credential")
	s.client().do("GET", "/api/session", "", "Cookie", ";;;=;=@; "+cookieName).problem(401, "no_credential")
}

func TestCookieAttributes(t *testing.T) {
	s := start(t, func(s *settings) {
		s.Cookie = api.Cookie{Name: "__Secure-sid", Domain: "example.com", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true}
	})
	set := s.client().do("POST", "/api/session", `{"ttlMs":1500}`).expect(201).Header.Get("Set-Cookie")
	for _, attribute := range []string{"__Secure-sid=s%3A", "; Path=/", "; Domain=example.com", "; Max-Age=2", "; HttpOnly", "; Secure", "; SameSite=None", "; Partitioned"} {
		assert.Contains(t, set, attribute)
	}
	set = start(t).client().do("POST", "/api/session", "").expect(201).Header.Get("Set-Cookie")
	assert.Regexp(t, `^validator_session_id=s%3A[0-9a-f]{64}\.[A-Za-z0-9%]+; Path=/; Expires=Sun, 22 Nov 2026 17:04:06 GMT; Max-Age=86400; HttpOnly; SameSite=Lax$`, set)
}

// FuzzCredentials sends arbitrary Cookie and Authorization headers. Only the
// two tokens that the service issued may open anything.
func FuzzCredentials(f *testing.F) {
	sessions := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})
	rules := &schema.Rules{MaxBytes: 1 << 20}
	opts := options(store.NewSessions(sessions, rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{}), rules)
	srv, err := api.New(opts)
	if err != nil {
		f.Fatal(err)
	}
	sess, err := opts.Sessions.Create(context.Background(), time.Now(), schema.DefaultNamespace, &schema.Input{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	good := sign(sess.ID, secret)
	f.Add(cookieName+"="+good, "")
	f.Add("", "Bearer "+good)
	f.Add("", "Bearer "+url.QueryEscape(good))
	f.Add(cookieName+"="+good+"; "+cookieName+"=x", "bearer s:a.b")
	f.Add(`validator_session_id="s:`+sess.ID+`."`, "Basic x")
	f.Add(cookieName+"=s%3a"+good[2:]+"%", "Bearer  ")
	f.Fuzz(func(t *testing.T, cookie, authorization string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/session", nil)
		if cookie != "" {
			r.Header["Cookie"] = []string{cookie}
		}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			plain, _ := url.PathUnescape(cookie + " " + authorization)
			if !strings.Contains(plain, good) {
				t.Fatalf("opened by %q and %q", cookie, authorization)
			}
		case http.StatusUnauthorized, http.StatusBadRequest:
		default:
			t.Fatalf("status %d for %q and %q", w.Code, cookie, authorization)
		}
	})
}
