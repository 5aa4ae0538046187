package examples_test

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// jwtOf requests a JWT of the client's session, with a body or without.
func jwtOf(t *testing.T, client *http.Client, api, body string) string {
	t.Helper()
	got := do(t, client, "POST", api+"/api/session/token", body, "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, got.status, got.body)
	var issued struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(got.body), &issued))
	return issued.Token
}

// TestJWTService runs the service that verifies JWTs by itself, on keys of either kind.
func TestJWTService(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "jwt-service")
	run(t, "jwt-service", []string{"CGO_ENABLED=0"}, "go", "build", "-o", binary, ".")
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) { tryJWTService(t, binary, algorithm) })
	}
}

func tryJWTService(t *testing.T, binary, algorithm string) {
	t.Helper()
	const issuer, audience = "https://sessions.example.com", "orders"
	api := servicetest.Start(t, "JWT_ISSUER="+issuer, "JWT_ALGORITHM="+algorithm, "VERIFY_JWT=true")
	address, err := url.Parse(api)
	require.NoError(t, err)
	// Counts how often the service asks.
	var asked atomic.Int64
	forward := httputil.NewSingleHostReverseProxy(address)
	counted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(counted.Close)
	app := serve(t, ".", []string{"SESSION_API=" + counted.URL, "JWT_ISSUER=" + issuer, "JWT_AUDIENCE=" + audience, "ADDR=127.0.0.1:0"}, binary)

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	visitor := &http.Client{Jar: jar}
	const mediaType, service = "application/json", "Bearer " + servicetest.ServiceToken
	require.Equal(t, http.StatusCreated, do(t, visitor, "POST", api+"/api/session", "").status)
	anonymous := jwtOf(t, visitor, api, `{"audience":"orders"}`)
	require.Equal(t, http.StatusOK, do(t, visitor, "POST", api+"/api/session/regenerate", `{"user":{"id":"ada","roles":["editor"]}}`,
		"Content-Type", mediaType, "Authorization", service).status)
	token := jwtOf(t, visitor, api, `{"audience":"orders"}`)

	ask := func(path, token string) answer {
		return do(t, http.DefaultClient, "GET", app+path, "", "Authorization", "Bearer "+token)
	}
	for range 20 {
		assert.Equal(t, answer{http.StatusOK, "the orders of ada\n"}, ask("/orders", token))
	}
	assert.Equal(t, answer{http.StatusOK, "the orders of ada\n"}, do(t, http.DefaultClient, "GET", app+"/orders", "", "X-Session-Jwt", token))
	assert.Equal(t, http.StatusForbidden, ask("/admin/orders", token).status)
	assert.EqualValues(t, 1, asked.Load(), "the keys are read once")

	parts := strings.Split(token, ".")
	for name, bad := range map[string]string{
		"none": "", "no user": anonymous, "another audience": jwtOf(t, visitor, api, ""),
		"no signature": parts[0] + "." + parts[1] + ".", "alg none": "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"another claim": parts[0] + "." + strings.Split(anonymous, ".")[1] + "." + parts[2],
	} {
		assert.Equal(t, http.StatusUnauthorized, ask("/orders", bad).status, name)
	}
	assert.EqualValues(t, 1, asked.Load())

	// Another deployment of the same name has other keys.
	other := servicetest.Start(t, "JWT_ISSUER="+issuer, "JWT_AUDIENCE="+audience, "JWT_ALGORITHM="+algorithm, "VERIFY_JWT=true")
	stranger, err := cookiejar.New(nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, do(t, &http.Client{Jar: stranger}, "POST", other+"/api/session", "").status)
	assert.Equal(t, http.StatusUnauthorized, ask("/orders", jwtOf(t, &http.Client{Jar: stranger}, other, "")).status)
	assert.EqualValues(t, 2, asked.Load(), "an unknown key is looked for")

	// It needs no session-api to verify; who does need it asks whether the session lives.
	introspect := func() string {
		return do(t, http.DefaultClient, "POST", api+"/api/session/introspect", url.Values{"token": {token}}.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "Authorization", service).body
	}
	assert.Contains(t, introspect(), `"active":true`)
	require.Equal(t, http.StatusNoContent, do(t, visitor, "DELETE", api+"/api/session", "").status)
	assert.JSONEq(t, `{"active":false}`, introspect())
	counted.Close()
	assert.Equal(t, http.StatusOK, ask("/orders", token).status, "until it expires")
}
