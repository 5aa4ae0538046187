package sessionapi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sessionapi "session-api/clients/go"
)

// asService is a client with a service token.
func asService(t *testing.T) *sessionapi.ClientWithResponses {
	t.Helper()
	return newClient(t, sessionapi.WithBearer(setting(t, "SERVICE_TOKEN")))
}

func createFor(t *testing.T, userID string) *sessionapi.ServiceSession {
	t.Helper()
	created, err := asService(t).CreateSessionForWithResponse(t.Context(), nil, sessionapi.NewSessionFor{
		User: sessionapi.Value(sessionapi.UserInput{ID: userID, Email: sessionapi.Value("ada@example.org"), Roles: sessionapi.Value([]string{"editor"})}),
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(created))
	return created.JSON201
}

// What a service gets for somebody is what that somebody signs in with.
func TestServiceCreatesForSomebody(t *testing.T) {
	created := createFor(t, "go-somebody")
	require.NotNil(t, created.Session.User)
	assert.Equal(t, sessionapi.User{ID: "go-somebody", Email: "ada@example.org", Roles: []string{"editor"}}, *created.Session.User)

	require.NotNil(t, created.Token)
	byToken, err := newClient(t, sessionapi.WithBearer(*created.Token)).GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(byToken))
	assert.Equal(t, created.Session.ID, byToken.JSON200.ID)

	require.NotNil(t, created.SetCookie)
	cookie, err := http.ParseSetCookie(*created.SetCookie)
	require.NoError(t, err)
	byCookie, err := newClient(t).GetSessionWithResponse(t.Context(), nil, func(_ context.Context, req *http.Request) error {
		req.AddCookie(cookie)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(byCookie))
	assert.Equal(t, created.Session.ID, byCookie.JSON200.ID)
}

func TestServiceListsCountsAndSignsOut(t *testing.T) {
	client := asService(t)
	user := new("go-many")
	var ids []string
	for range 5 {
		ids = append(ids, createFor(t, *user).Session.ID)
	}

	var listed []string
	params := &sessionapi.ListSessionsParams{UserID: user, Limit: new(2)}
	for {
		page, err := client.ListSessionsWithResponse(t.Context(), params)
		require.NoError(t, err)
		require.NoError(t, sessionapi.ProblemOf(page))
		require.LessOrEqual(t, len(page.JSON200.Sessions), 2)
		for _, session := range page.JSON200.Sessions {
			listed = append(listed, session.ID)
		}
		if params.Cursor = page.JSON200.NextCursor; params.Cursor == nil {
			break
		}
	}
	assert.ElementsMatch(t, ids, listed)

	count := func() int64 {
		counted, err := client.CountSessionsWithResponse(t.Context(), &sessionapi.CountSessionsParams{UserID: user})
		require.NoError(t, err)
		require.NoError(t, sessionapi.ProblemOf(counted))
		return counted.JSON200.Count
	}
	assert.Equal(t, int64(5), count())

	elsewhere, err := client.DeleteSessionsWithResponse(t.Context(), &sessionapi.DeleteSessionsParams{UserID: user, Except: &ids[0]})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(elsewhere))
	assert.Equal(t, int64(4), elsewhere.JSON200.Deleted)
	assert.Equal(t, int64(1), count())
	everywhere, err := client.DeleteSessionsWithResponse(t.Context(), &sessionapi.DeleteSessionsParams{UserID: user})
	require.NoError(t, err)
	assert.Equal(t, int64(1), everywhere.JSON200.Deleted)
	assert.Zero(t, count())

	nobody, err := client.DeleteSessionsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	requireProblem(t, nobody, sessionapi.ProblemCodeInvalidQuery)
}

func TestServiceLifeByID(t *testing.T) {
	client, ctx := asService(t), t.Context()
	const id = "go_client-0123456789"
	namespace := new(fmt.Sprint("go-", strings.ToLower(t.Name())))

	absent, err := client.GetSessionByIDWithResponse(ctx, id, &sessionapi.GetSessionByIDParams{Namespace: namespace})
	require.NoError(t, err)
	requireProblem(t, absent, sessionapi.ProblemCodeSessionNotFound)

	put := func(params sessionapi.PutSessionByIDParams) *sessionapi.PutSessionByIDResponse {
		params.Namespace = namespace
		answer, err := client.PutSessionByIDWithResponse(ctx, id, &params,
			sessionapi.SessionInput{Inputs: sessionapi.Value(map[string]any{"step": 1})})
		require.NoError(t, err)
		return answer
	}
	created := put(sessionapi.PutSessionByIDParams{IfNoneMatch: new("*")})
	require.NoError(t, sessionapi.ProblemOf(created))
	require.NotNil(t, created.JSON201)
	assert.Equal(t, id, created.JSON201.ID)
	requireProblem(t, put(sessionapi.PutSessionByIDParams{IfNoneMatch: new("*")}), sessionapi.ProblemCodePreconditionFailed)
	require.NotNil(t, put(sessionapi.PutSessionByIDParams{IfMatch: &created.Headers201.ETag}).JSON200)

	elsewhere, err := client.CheckSessionByIDWithResponse(ctx, id, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotFound, elsewhere.StatusCode(), "the id is another session's in another namespace")

	patched, err := client.PatchSessionByIDWithResponse(ctx, id, &sessionapi.PatchSessionByIDParams{Namespace: namespace}, sessionapi.SessionPatch{
		User:    sessionapi.Value(sessionapi.UserPatch{ID: new("u-1")}),
		Results: sessionapi.Value(map[string]any{"state": "done"}),
	})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(patched))
	assert.Equal(t, "u-1", patched.JSON200.User.ID)
	late, err := client.PatchSessionByIDWithResponse(ctx, id,
		&sessionapi.PatchSessionByIDParams{Namespace: namespace, IfMatch: &created.Headers201.ETag}, sessionapi.SessionPatch{})
	require.NoError(t, err)
	requireProblem(t, late, sessionapi.ProblemCodePreconditionFailed)
	touched, err := client.TouchSessionByIDWithResponse(ctx, id, &sessionapi.TouchSessionByIDParams{Namespace: namespace}, sessionapi.TouchInput{TTLMs: new(int64(60_000))})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(touched))
	assert.True(t, touched.JSON200.ExpiresAt.Before(patched.JSON200.ExpiresAt))

	for range 2 {
		deleted, err := client.DeleteSessionByIDWithResponse(ctx, id, &sessionapi.DeleteSessionByIDParams{Namespace: namespace})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	}
	gone, err := client.GetSessionByIDWithResponse(ctx, id, &sessionapi.GetSessionByIDParams{Namespace: namespace})
	require.NoError(t, err)
	requireProblem(t, gone, sessionapi.ProblemCodeSessionNotFound)
	requireProblem(t, put(sessionapi.PutSessionByIDParams{}), sessionapi.ProblemCodeSessionEnded)
	require.NotNil(t, put(sessionapi.PutSessionByIDParams{Revive: new(true)}).JSON201)
}

func TestServiceRegenerates(t *testing.T) {
	created := createFor(t, "go-regenerate")
	client := asService(t)
	regenerated, err := client.RegenerateSessionByIDWithResponse(t.Context(), created.Session.ID, nil, sessionapi.RegenerateInput{})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(regenerated))
	assert.NotEqual(t, created.Session.ID, regenerated.JSON200.Session.ID)
	require.NotNil(t, regenerated.JSON200.Token)
	require.NotNil(t, regenerated.JSON200.SetCookie)

	old, err := newClient(t, sessionapi.WithBearer(*created.Token)).GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	requireProblem(t, old, sessionapi.ProblemCodeUnauthorized)
	now, err := newClient(t, sessionapi.WithBearer(*regenerated.JSON200.Token)).GetSessionWithResponse(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, regenerated.JSON200.Session.ID, now.JSON200.ID)
}

func TestServiceRoutesNeedTheServiceToken(t *testing.T) {
	for name, client := range map[string]*sessionapi.ClientWithResponses{
		"none": newClient(t), "a session's": byBearer(t), "a wrong one": newClient(t, sessionapi.WithBearer("x")),
	} {
		t.Run(name, func(t *testing.T) {
			listed, err := client.ListSessionsWithResponse(t.Context(), nil)
			require.NoError(t, err)
			requireProblem(t, listed, sessionapi.ProblemCodeUnauthorized)
		})
	}
}

// StreamEvents of Client, without the response read for it, is a stream.
func TestServiceFollowsEvents(t *testing.T) {
	client, err := sessionapi.NewClient(setting(t, "SESSION_API_URL"), sessionapi.WithBearer(setting(t, "SERVICE_TOKEN")))
	require.NoError(t, err)
	user := new("go-events")
	stream, err := client.StreamEvents(t.Context(), &sessionapi.StreamEventsParams{
		UserID: user, Type: &[]sessionapi.EventType{sessionapi.EventTypeCreated, sessionapi.EventTypeDeleted},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, stream.Body.Close()) }()
	require.Equal(t, http.StatusOK, stream.StatusCode)

	session := createFor(t, *user).Session
	deleted, err := asService(t).DeleteSessionByIDWithResponse(t.Context(), session.ID, nil)
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(deleted))
	var events []string
	for lines := bufio.NewScanner(stream.Body); len(events) < 2 && lines.Scan(); {
		if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			events = append(events, event)
		}
	}
	assert.Equal(t, []string{"created", "deleted"}, events)
}

func TestServiceMovesSessions(t *testing.T) {
	client, namespace := asService(t), new("go-move")
	put, err := client.PutSessionByIDWithResponse(t.Context(), "go_moved-0123456789",
		&sessionapi.PutSessionByIDParams{Namespace: namespace}, sessionapi.SessionInput{})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(put))

	exported, err := client.ExportSessionsWithResponse(t.Context(), &sessionapi.ExportSessionsParams{Namespace: namespace})
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(exported))
	imported, err := client.ImportSessionsWithBodyWithResponse(t.Context(), nil, "application/x-ndjson", bytes.NewReader(exported.Bytes()))
	require.NoError(t, err)
	require.NoError(t, sessionapi.ProblemOf(imported))
	assert.Equal(t, sessionapi.ImportReport{Existing: 1, Present: 1}, *imported.JSON200)
}
