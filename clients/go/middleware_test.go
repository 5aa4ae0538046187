package sessionapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sessionapi "session-api/clients/go"
)

// through sends a request with the headers to a handler behind the middleware, and returns
// the answer and what the handler was told; nil where it was not called.
func through(t *testing.T, m *sessionapi.Middleware, headers ...string) (*httptest.ResponseRecorder, *sessionapi.Identity, *sessionapi.Session) {
	t.Helper()
	var identity *sessionapi.Identity
	var session *sessionapi.Session
	called := false
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = true
		identity, _ = sessionapi.IdentityOf(r.Context())
		session, _ = sessionapi.SessionOf(r.Context())
		w.WriteHeader(http.StatusNoContent)
	}))
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/account", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	assert.Equal(t, called, recorder.Code == http.StatusNoContent)
	return recorder, identity, session
}

// signedIn is a session of a user with a sign-in of just now, as the value of
// Authorization.
func signedIn(t *testing.T) (bearer, id string) {
	t.Helper()
	created, err := asService(t).CreateSessionForWithResponse(t.Context(), nil, sessionapi.NewSessionFor{
		User: sessionapi.Value(sessionapi.UserInput{
			ID: "größe,1", Email: sessionapi.Value("ada@example.org"), Roles: sessionapi.Value([]string{"editor", "a,b"}),
			Auth: sessionapi.Value(sessionapi.AuthenticationInput{
				Time: time.Now(), Level: sessionapi.Value("aal2"), Methods: sessionapi.Value([]string{"pwd", "otp"}),
			}),
		}),
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	return "Bearer " + *created.JSON201.Token, created.JSON201.Session.ID
}

func TestMiddleware(t *testing.T) {
	bearer, id := signedIn(t)
	for _, m := range []*sessionapi.Middleware{
		{Client: newClient(t)},
		{Client: newClient(t), ReadsSession: true},
		{Client: newClient(t), ReadsSession: true, Rule: sessionapi.Rule{Roles: []string{"admin", "a,b"}}},
		{Client: newClient(t), Rule: sessionapi.Rule{MaxAuthAge: time.Minute, Levels: []string{"aal1"}, Methods: []string{"otp"}}},
	} {
		_, identity, session := through(t, m, "Authorization", bearer, "X-User-Id", "eve")
		require.NotNil(t, identity)
		assert.Equal(t, id, identity.SessionID)
		assert.False(t, identity.RolesIncomplete)
		require.NotNil(t, identity.User)
		assert.Equal(t, "größe,1", identity.User.ID)
		assert.Equal(t, "ada@example.org", identity.User.Email)
		assert.Equal(t, []string{"editor", "a,b"}, identity.User.Roles)
		require.NotNil(t, identity.User.Auth)
		assert.Equal(t, "aal2", identity.User.Auth.Level)
		assert.Equal(t, []string{"pwd", "otp"}, identity.User.Auth.Methods)
		assert.WithinDuration(t, time.Now(), identity.User.Auth.Time, time.Minute)
		assert.Equal(t, m.ReadsSession, session != nil)
	}
}

func TestMiddleware_refuses(t *testing.T) {
	bearer, _ := signedIn(t)
	answer, _, _ := through(t, &sessionapi.Middleware{Client: newClient(t)})
	assert.Equal(t, http.StatusUnauthorized, answer.Code)
	assert.Contains(t, answer.Header().Get("WWW-Authenticate"), "Bearer realm=")

	answer, _, _ = through(t, &sessionapi.Middleware{Client: newClient(t), Rule: sessionapi.Rule{Roles: []string{"admin"}}}, "Authorization", bearer)
	assert.Equal(t, http.StatusForbidden, answer.Code)

	for _, optional := range []bool{false, true} {
		answer, _, _ = through(t, &sessionapi.Middleware{
			Client: newClient(t), Optional: optional, Rule: sessionapi.Rule{MaxAuthAge: 15 * time.Minute, Levels: []string{"aal3"}},
		}, "Authorization", bearer)
		assert.Equal(t, http.StatusUnauthorized, answer.Code)
		assert.Equal(t, `Bearer error="insufficient_user_authentication", max_age="900", acr_values="aal3"`, answer.Header().Get("WWW-Authenticate"))
	}

	_, identity, _ := through(t, &sessionapi.Middleware{Client: newClient(t), Optional: true})
	assert.Nil(t, identity)

	var code sessionapi.ProblemCode
	answer, _, _ = through(t, &sessionapi.Middleware{Client: newClient(t), Refuse: func(w http.ResponseWriter, _ *http.Request, why *sessionapi.Problem) {
		code = why.Code
		w.WriteHeader(http.StatusSeeOther)
	}})
	assert.Equal(t, http.StatusSeeOther, answer.Code)
	assert.Equal(t, sessionapi.ProblemCodeNoCredential, code)
}

// Where the service gives no answer, or somebody else does, nobody passes.
func TestMiddleware_unreachable(t *testing.T) {
	for name, other := range map[string]http.HandlerFunc{
		"success of somebody else": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.org/", http.StatusFound)
		},
		"an error page":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a missing page": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"broken escapes": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Session-Id", "x")
			w.Header().Set("X-User-Id", "%zz")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(other)
			t.Cleanup(server.Close)
			noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			client, err := sessionapi.NewClientWithResponses(server.URL, sessionapi.WithHTTPClient(noRedirects))
			require.NoError(t, err)
			for _, m := range []*sessionapi.Middleware{{Client: client}, {Client: client, Optional: true}, {Client: client, ReadsSession: true}} {
				answer, _, _ := through(t, m, "Cookie", "a=b")
				assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
				assert.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
			}
		})
	}
	gone, err := sessionapi.NewClientWithResponses("http://127.0.0.1:1")
	require.NoError(t, err)
	answer, _, _ := through(t, &sessionapi.Middleware{Client: gone, Optional: true})
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
}

// The browser's cookie lives as long as the session, though it is the application that
// answers.
func TestMiddleware_cookies(t *testing.T) {
	created, err := newClient(t).CreateSessionWithResponse(t.Context(), nil, sessionapi.NewSession{})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	cookie, err := http.ParseSetCookie(*created.Headers201.SetCookie)
	require.NoError(t, err)
	sent := cookie.Name + "=" + cookie.Value
	answer, identity, _ := through(t, &sessionapi.Middleware{Client: newClient(t)}, "Cookie", sent)
	require.NotNil(t, identity)
	assert.Nil(t, identity.User)
	assert.Equal(t, http.StatusNoContent, answer.Code)

	forged := cookie.Name + "=" + cookie.Value[:len(cookie.Value)-4] + "AAAA"
	answer, _, _ = through(t, &sessionapi.Middleware{Client: newClient(t)}, "Cookie", forged)
	assert.Equal(t, http.StatusUnauthorized, answer.Code)
}
