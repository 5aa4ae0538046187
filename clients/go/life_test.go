package sessionapi_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sessionapi "session-api/clients/go"
)

// setting is a variable of the environment that these tests need: they speak
// with a running service. In the repository, `go test ./clients` starts one.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "set SESSION_API_URL and SERVICE_TOKEN to those of a running service")
	return value
}

func newClient(t *testing.T, options ...sessionapi.ClientOption) *sessionapi.ClientWithResponses {
	t.Helper()
	client, err := sessionapi.NewClientWithResponses(setting(t, "SESSION_API_URL"), options...)
	require.NoError(t, err)
	return client
}

// byCookie is a client that keeps cookies, as a browser does.
func byCookie(t *testing.T) *sessionapi.ClientWithResponses {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return newClient(t, sessionapi.WithHTTPClient(&http.Client{Jar: jar}))
}

// byBearer is a client with the token of a new session.
func byBearer(t *testing.T) *sessionapi.ClientWithResponses {
	t.Helper()
	return newClient(t, sessionapi.WithBearer(newToken(t)))
}

func newToken(t *testing.T) string {
	t.Helper()
	created, err := newClient(t).CreateSessionWithResponse(t.Context(),
		&sessionapi.CreateSessionParams{Transport: new(sessionapi.TransportBearer)}, sessionapi.NewSession{})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	require.NotNil(t, created.JSON201.Token)
	return *created.JSON201.Token
}

// requireProblem checks that an answer is the problem of a code.
func requireProblem(t *testing.T, answer sessionapi.Answer, code sessionapi.ProblemCode) {
	t.Helper()
	var problem *sessionapi.Problem
	require.ErrorAs(t, sessionapi.ProblemOf(answer), &problem)
	require.Equal(t, code, problem.Code, "%s", answer.Bytes())
	require.Equal(t, answer.StatusCode(), problem.Status)
	require.NotEmpty(t, problem.RequestID)
}

func TestLifeByCookie(t *testing.T) {
	client := byCookie(t)
	created, err := client.CreateSessionWithResponse(t.Context(), nil, sessionapi.NewSession{
		Inputs: sessionapi.Value(map[string]any{"step": 1}),
		TTLMs:  new(int64(time.Hour / time.Millisecond)),
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	assert.Nil(t, created.JSON201.Token, "it is in the cookie")
	assert.Equal(t, "/api/session", created.Headers201.Location)
	require.NotNil(t, created.Headers201.SetCookie)
	assert.Contains(t, *created.Headers201.SetCookie, "HttpOnly")

	lead(t, client, created.JSON201.ID, sessionapi.ProblemCodeNoCredential)
}

func TestLifeByBearer(t *testing.T) {
	created, err := newClient(t).CreateSessionWithResponse(t.Context(),
		&sessionapi.CreateSessionParams{Transport: new(sessionapi.TransportBearer)},
		sessionapi.NewSession{
			Inputs: sessionapi.Value(map[string]any{"step": 1}),
			TTLMs:  new(int64(time.Hour / time.Millisecond)),
		})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	require.NotNil(t, created.JSON201.Token)
	assert.Nil(t, created.Headers201.SetCookie)

	token := *created.JSON201.Token
	client := newClient(t, sessionapi.WithRequestEditorFn(func(ctx context.Context, req *http.Request) error {
		return sessionapi.Bearer(token)(ctx, req)
	}))
	lead(t, client, created.JSON201.ID, sessionapi.ProblemCodeUnauthorized)

	// Its token has changed with its id.
	again := newToken(t)
	token = again
	regenerated, err := client.RegenerateSessionWithResponse(t.Context(), nil, sessionapi.RegenerateInput{})
	require.NoError(t, err)
	require.NotNil(t, regenerated.JSON200)
	require.NotNil(t, regenerated.JSON200.Token)
	old, err := client.GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	requireProblem(t, old, sessionapi.ProblemCodeUnauthorized)
	token = *regenerated.JSON200.Token
	now, err := client.GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, regenerated.JSON200.ID, now.JSON200.ID)
}

// lead takes a session, whose inputs are a step and whose life is an hour,
// through its life. After it, a cookie is gone and a token opens nothing.
func lead(t *testing.T, client *sessionapi.ClientWithResponses, id string, after sessionapi.ProblemCode) {
	t.Helper()
	ctx := t.Context()

	head, err := client.CheckSessionWithResponse(ctx)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, head.StatusCode())

	read, err := client.GetSessionWithResponse(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(read))
	session := read.JSON200
	assert.Equal(t, id, session.ID)
	assert.Equal(t, int64(1), session.Revision)
	assert.Nil(t, session.User)
	assert.Equal(t, map[string]any{"step": 1.0}, session.Inputs)
	assert.WithinDuration(t, session.CreatedAt.Add(time.Hour), session.ExpiresAt, time.Minute)

	// It has not changed since.
	same, err := client.GetSessionWithResponse(ctx, &sessionapi.GetSessionParams{
		Touch: new(false), IfNoneMatch: new(read.Headers200.ETag),
	})
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotModified, same.StatusCode())
	assert.NoError(t, sessionapi.ProblemOf(same))

	// A section is replaced, another emptied, and the others stay.
	replaced, err := client.ReplaceSectionsWithResponse(ctx,
		&sessionapi.ReplaceSectionsParams{IfMatch: &read.Headers200.ETag},
		sessionapi.SessionInput{
			APIConfig: sessionapi.Value(map[string]any{"model": "m-1"}),
			Results:   sessionapi.Null[map[string]any](),
		})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(replaced))
	assert.NotEqual(t, read.Headers200.ETag, replaced.Headers200.ETag)
	assert.Equal(t, map[string]any{"model": "m-1"}, replaced.JSON200.APIConfig)
	assert.Equal(t, map[string]any{"step": 1.0}, replaced.JSON200.Inputs)

	// Whoever still holds the first ETag is told.
	late, err := client.PatchSessionWithResponse(ctx,
		&sessionapi.PatchSessionParams{IfMatch: &read.Headers200.ETag},
		sessionapi.SessionPatch{Meta: sessionapi.Value(map[string]any{"lost": true})})
	require.NoError(t, err)
	requireProblem(t, late, sessionapi.ProblemCodePreconditionFailed)
	assert.Equal(t, sessionapi.ProblemCodePreconditionFailed, late.ApplicationProblemJSON412.Code)

	// A merge removes what is null, at any depth.
	merged, err := client.PatchSessionWithResponse(ctx, nil, sessionapi.SessionPatch{
		Inputs:    sessionapi.Value(map[string]any{"step": nil, "files": []string{"a.csv"}}),
		APIConfig: sessionapi.Null[map[string]any](),
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(merged))
	assert.Equal(t, map[string]any{"files": []any{"a.csv"}}, merged.JSON200.Inputs)
	assert.Empty(t, merged.JSON200.APIConfig)

	// And operations say what a merge cannot.
	appended, err := client.ApplyOperationsWithResponse(ctx, nil, sessionapi.JSONPatch{
		{Op: sessionapi.JSONPatchOperationOpTest, Path: "/inputs/files/0", Value: "a.csv"},
		{Op: sessionapi.JSONPatchOperationOpAdd, Path: "/inputs/files/-", Value: "b.csv"},
		{Op: sessionapi.JSONPatchOperationOpCopy, From: new("/inputs/files/1"), Path: "/meta/last"},
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(appended))
	assert.Equal(t, map[string]any{"files": []any{"a.csv", "b.csv"}}, appended.JSON200.Inputs)
	assert.Equal(t, map[string]any{"last": "b.csv"}, appended.JSON200.Meta)
	failed, err := client.ApplyOperationsWithResponse(ctx, nil, sessionapi.JSONPatch{
		{Op: sessionapi.JSONPatchOperationOpTest, Path: "/inputs/files/0", Value: "z.csv"},
	})
	require.NoError(t, err)
	requireProblem(t, failed, sessionapi.ProblemCodePatchTestFailed)
	require.NotNil(t, failed.ApplicationProblemJSON409.Errors)
	assert.Equal(t, "/0/value", (*failed.ApplicationProblemJSON409.Errors)[0].Pointer)

	touched, err := client.TouchSessionWithResponse(ctx, nil, sessionapi.TouchInput{TTLMs: new(int64(30 * time.Minute / time.Millisecond))})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(touched))
	assert.Equal(t, appended.JSON200.Revision, touched.JSON200.Revision)
	assert.WithinDuration(t, time.Now().Add(30*time.Minute), touched.JSON200.ExpiresAt, time.Minute)

	// A DELETE is as careful as the other changes.
	kept, err := client.DeleteSessionWithResponse(ctx, &sessionapi.DeleteSessionParams{IfMatch: &read.Headers200.ETag})
	require.NoError(t, err)
	requireProblem(t, kept, sessionapi.ProblemCodePreconditionFailed)
	for range 2 { // and can be repeated
		ended, err := client.DeleteSessionWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, ended.StatusCode())
	}
	gone, err := client.GetSessionWithResponse(ctx, nil)
	require.NoError(t, err)
	requireProblem(t, gone, after)
	head, err = client.CheckSessionWithResponse(ctx)
	require.NoError(t, err)
	var unread *sessionapi.Problem
	require.ErrorAs(t, sessionapi.ProblemOf(head), &unread)
	assert.Equal(t, http.StatusUnauthorized, unread.Status)
	assert.Empty(t, unread.Code, "an answer to HEAD has no body")
}

func TestCreateOrLoad(t *testing.T) {
	client := byCookie(t)
	none := &sessionapi.CreateSessionParams{IfNoneMatch: new("*")}
	created, err := client.CreateSessionWithResponse(t.Context(), none, sessionapi.NewSession{})
	require.NoError(t, err)
	require.NotNil(t, created.JSON201)
	loaded, err := client.CreateSessionWithResponse(t.Context(), none, sessionapi.NewSession{})
	require.NoError(t, err)
	require.NotNil(t, loaded.JSON200)
	assert.Equal(t, created.JSON201.ID, loaded.JSON200.ID)
}

func TestRegenerateByCookie(t *testing.T) {
	client := byCookie(t)
	created, err := client.CreateSessionWithResponse(t.Context(), nil, sessionapi.NewSession{})
	require.NoError(t, err)
	regenerated, err := client.RegenerateSessionWithResponse(t.Context(), nil, sessionapi.RegenerateInput{GraceMs: new(int64(10_000))})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(regenerated))
	assert.NotEqual(t, created.JSON201.ID, regenerated.JSON200.ID)
	assert.Nil(t, regenerated.JSON200.Token, "it is in the cookie")
	read, err := client.GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, regenerated.JSON200.ID, read.JSON200.ID)
}

// A generated client sends POST without a body as it is: with no Content-Type,
// or with an empty one.
func TestEmptyBodies(t *testing.T) {
	client := byBearer(t)
	for name, noType := range map[string]sessionapi.RequestEditorFn{
		"an empty Content-Type": func(context.Context, *http.Request) error { return nil },
		"no Content-Type": func(_ context.Context, req *http.Request) error {
			req.Header.Del("Content-Type")
			return nil
		},
		"a Content-Type": func(_ context.Context, req *http.Request) error {
			req.Header.Set("Content-Type", "application/json")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			created, err := client.CreateSessionWithBodyWithResponse(t.Context(),
				&sessionapi.CreateSessionParams{Transport: new(sessionapi.TransportBearer)}, "", nil, noType)
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(created))
			own := sessionapi.Bearer(*created.JSON201.Token)
			touched, err := client.TouchSessionWithBodyWithResponse(t.Context(), nil, "", nil, noType, own)
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(touched))
			regenerated, err := client.RegenerateSessionWithBodyWithResponse(t.Context(), nil, "", nil, noType, own)
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(regenerated))
		})
	}
}

func TestPatchAsEitherMediaType(t *testing.T) {
	client := byBearer(t)
	for _, mediaType := range []string{"application/json", "application/merge-patch+json"} {
		patched, err := client.PatchSessionWithBodyWithResponse(t.Context(), nil, mediaType, strings.NewReader(`{"meta":{"n":1}}`))
		require.NoError(t, err)
		require.NoError(t, sessionapi.ProblemOf(patched))
	}
}

// Clients that keep cookies and send a token as well name the session twice.
func TestCookieAndBearerTogether(t *testing.T) {
	token := newToken(t)
	alone, err := newClient(t).GetSessionWithResponse(t.Context(), nil, sessionapi.Bearer(token))
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(alone))

	cookie := func(_ context.Context, req *http.Request) error {
		req.AddCookie(&http.Cookie{Name: "validator_session_id", Value: strings.ReplaceAll(token, ":", "%3A")})
		return nil
	}
	both, err := newClient(t).GetSessionWithResponse(t.Context(), nil, cookie, sessionapi.Bearer(token))
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(both))
	assert.Equal(t, alone.JSON200.ID, both.JSON200.ID)

	differing, err := newClient(t).GetSessionWithResponse(t.Context(), nil, cookie, sessionapi.Bearer(newToken(t)))
	require.NoError(t, err)
	requireProblem(t, differing, sessionapi.ProblemCodeConflictingCredentials)
}

func TestTypedProblems(t *testing.T) {
	client := byBearer(t)

	forbidden, err := client.ReplaceSectionsWithResponse(t.Context(), nil,
		sessionapi.SessionInput{User: sessionapi.Value(sessionapi.UserInput{ID: "u-1"})})
	require.NoError(t, err)
	requireProblem(t, forbidden, sessionapi.ProblemCodeUserForbidden)
	assert.NotNil(t, forbidden.ApplicationProblemJSON403)

	invalid, err := client.TouchSessionWithResponse(t.Context(), nil, sessionapi.TouchInput{TTLMs: new(int64(-1))})
	require.NoError(t, err)
	requireProblem(t, invalid, sessionapi.ProblemCodeValidationFailed)
	problem := invalid.ApplicationProblemJSON422
	require.NotNil(t, problem.Errors)
	assert.Equal(t, "/ttlMs", (*problem.Errors)[0].Pointer)
	assert.ErrorContains(t, problem, string(problem.Code))

	stranger, err := newClient(t).GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	requireProblem(t, stranger, sessionapi.ProblemCodeNoCredential)
	assert.Contains(t, stranger.Headers401.WWWAuthenticate, "Bearer")

	health, err := client.GetHealthWithResponse(t.Context())
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(health))
	assert.Equal(t, sessionapi.HealthStatusOk, health.JSON200.Status)
}
