package sessionapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sessionapi "session-api/clients/go"
)

// lossy loses the answers to some requests, which arrive all the same.
type lossy struct {
	next http.RoundTripper
	// lose says, of the nth request to lose an answer could be had of, what becomes of the
	// answer.
	lose func(n int, req *http.Request, resp *http.Response) (*http.Response, error)
	keys []string
}

func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil || req.Method == http.MethodGet {
		return resp, err
	}
	l.keys = append(l.keys, req.Header.Get("Idempotency-Key"))
	return l.lose(len(l.keys), req, resp)
}

var errReset = errors.New("connection reset")

// firstLost loses the first answer wholly.
func firstLost(n int, _ *http.Request, resp *http.Response) (*http.Response, error) {
	if n > 1 {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, errReset
}

// firstBroken loses the body of the first answer after some bytes.
func firstBroken(n int, _ *http.Request, resp *http.Response) (*http.Response, error) {
	if n == 1 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(resp.Body, 10), brokenReader{}), resp.Body}
	}
	return resp, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errReset }

// fast are retries that waste no time of a test.
var fast = sessionapi.Retries{FirstPause: time.Microsecond}

// retrying returns a client with a cookie jar.
func retrying(t *testing.T, lose func(int, *http.Request, *http.Response) (*http.Response, error), retries sessionapi.Retries, options ...sessionapi.ClientOption) (*sessionapi.ClientWithResponses, *lossy) {
	t.Helper()
	transport := &lossy{next: http.DefaultTransport, lose: lose}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	options = append([]sessionapi.ClientOption{sessionapi.WithHTTPClient(&http.Client{Transport: transport, Jar: jar}), sessionapi.WithRetries(retries)}, options...)
	client, err := sessionapi.NewClientWithResponses(setting(t, "SESSION_API_URL"), options...)
	require.NoError(t, err)
	return client, transport
}

// A lost answer is asked for again, and what was asked for is done once.
func TestLostAnswers(t *testing.T) {
	for name, lose := range map[string]func(int, *http.Request, *http.Response) (*http.Response, error){"all of it": firstLost, "its end": firstBroken} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			user := new("go-retry-" + strings.ReplaceAll(name, " ", "-"))
			service, _ := retrying(t, lose, fast, sessionapi.WithBearer(setting(t, "SERVICE_TOKEN")))
			created, err := service.CreateSessionForWithResponse(ctx, nil, sessionapi.NewSessionFor{
				User: sessionapi.Value(sessionapi.UserInput{ID: *user}), Inputs: sessionapi.Value(map[string]any{"n": []any{}}),
			})
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(created))
			counted, err := service.CountSessionsWithResponse(ctx, &sessionapi.CountSessionsParams{UserID: user})
			require.NoError(t, err)
			assert.Equal(t, int64(1), counted.JSON200.Count)

			client, sent := retrying(t, lose, fast, sessionapi.WithBearer(*created.JSON201.Token))
			appended, err := client.ApplyOperationsWithResponse(ctx, nil, appendOne(t))
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(appended))
			assert.Equal(t, map[string]any{"n": []any{1.0}}, appended.JSON200.Inputs)
			require.Len(t, sent.keys, 2)
			assert.Equal(t, sent.keys[0], sent.keys[1])
			assert.Regexp(t, `^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`, sent.keys[0])

			client, _ = retrying(t, lose, fast, sessionapi.WithBearer(*created.JSON201.Token))
			renewed, err := client.RegenerateSessionWithResponse(ctx, nil, sessionapi.RegenerateInput{})
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(renewed), "the old token opens nothing any more")
			require.NotNil(t, renewed.JSON200.Token)
			assert.NotEqual(t, created.JSON201.Session.ID, renewed.JSON200.ID)
			read, err := newClient(t, sessionapi.WithBearer(*renewed.JSON200.Token)).GetSessionWithResponse(ctx, nil)
			require.NoError(t, err)
			require.NoError(t, sessionapi.ProblemOf(read))
			assert.Equal(t, map[string]any{"n": []any{1.0}}, read.JSON200.Inputs)
		})
	}
}

// A browser's cookie may arrive although the answer does not.
func TestLostAnswersOfVisitors(t *testing.T) {
	for _, lose := range []func(int, *http.Request, *http.Response) (*http.Response, error){firstLost, firstBroken} {
		client, sent := retrying(t, lose, fast)
		created, err := client.CreateSessionWithResponse(t.Context(), nil, sessionapi.NewSession{})
		require.NoError(t, err)
		require.NoError(t, sessionapi.ProblemOf(created))
		assert.Equal(t, "true", created.HTTPResponse.Header.Get("Idempotency-Replayed"))
		read, err := client.GetSessionWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, sessionapi.ProblemOf(read))
		assert.Equal(t, created.JSON201.ID, read.JSON200.ID)
		assert.Len(t, sent.keys, 2)
	}
}

func appendOne(t *testing.T) sessionapi.JSONPatch {
	t.Helper()
	var patch sessionapi.JSONPatch
	require.NoError(t, json.Unmarshal([]byte(`[{"op":"add","path":"/inputs/n/-","value":1}]`), &patch))
	return patch
}

// stubbed answers without a service.
type stubbed func(n int, req *http.Request) (*http.Response, error)

func (s stubbed) client(t *testing.T, retries sessionapi.Retries) (*sessionapi.Client, *[]*http.Request) {
	t.Helper()
	var sent []*http.Request
	client, err := sessionapi.NewClient("http://service.test/below", sessionapi.WithHTTPClient(doer(func(req *http.Request) (*http.Response, error) {
		sent = append(sent, req)
		if req.Body != nil {
			_, _ = io.ReadAll(req.Body)
		}
		return s(len(sent), req)
	})), sessionapi.WithRetries(retries))
	require.NoError(t, err)
	return client, &sent
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

func status(status int, retryAfter string) *http.Response {
	header := http.Header{}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}"))}
}

func TestWhatIsRepeated(t *testing.T) {
	past := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	type answer struct {
		status     int
		retryAfter string
	}
	for _, c := range []struct {
		answers []answer
		sent    int
		got     int
	}{
		{[]answer{{503, "0"}, {502, ""}, {200, ""}}, 3, 200},
		{[]answer{{504, past}, {409, "0"}, {200, ""}}, 3, 200},
		{[]answer{{503, ""}, {503, ""}, {503, ""}, {200, ""}}, 3, 503},
		{[]answer{{409, ""}}, 1, 409},
		{[]answer{{500, "0"}}, 1, 500},
		{[]answer{{429, "1"}}, 1, 429},
		{[]answer{{503, "31"}}, 1, 503},
	} {
		client, sent := stubbed(func(n int, _ *http.Request) (*http.Response, error) {
			return status(c.answers[n-1].status, c.answers[n-1].retryAfter), nil
		}).client(t, fast)
		resp, err := client.PatchSession(t.Context(), nil, sessionapi.SessionPatch{})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, c.got, resp.StatusCode)
		assert.Len(t, *sent, c.sent)
		for _, req := range *sent {
			assert.Equal(t, (*sent)[0].Header["Idempotency-Key"], req.Header["Idempotency-Key"])
		}
	}

	// A body that cannot be had twice is sent once.
	once := stubbed(func(int, *http.Request) (*http.Response, error) { return nil, errReset })
	client, sent := once.client(t, fast)
	_, err := client.ImportSessionsWithBody(t.Context(), nil, "application/x-ndjson", io.MultiReader(strings.NewReader("\n"))) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, errReset)
	assert.Len(t, *sent, 1)
	_, err = client.ImportSessionsWithBody(t.Context(), nil, "application/x-ndjson", bytes.NewReader([]byte("\n"))) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, errReset)
	assert.Len(t, *sent, 4)
	// What takes no key, and does something each time, is sent once as well.
	client, sent = once.client(t, fast)
	_, err = client.RunCleanup(t.Context(), nil) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, errReset)
	assert.Len(t, *sent, 1)
	assert.Empty(t, (*sent)[0].Header["Idempotency-Key"])
}

func TestKeysAndPausesAreTheCallers(t *testing.T) {
	down := stubbed(func(int, *http.Request) (*http.Response, error) { return nil, errReset })
	client, sent := down.client(t, sessionapi.Retries{Max: 1, FirstPause: time.Microsecond, NewKey: func() string { return "key-of-the-caller" }})
	_, err := client.TouchSession(t.Context(), nil, sessionapi.TouchInput{}) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, errReset)
	require.Len(t, *sent, 2)
	assert.Equal(t, "key-of-the-caller", (*sent)[1].Header.Get("Idempotency-Key"))
	own := "key-of-one-request"
	_, err = client.TouchSession(t.Context(), &sessionapi.TouchSessionParams{IdempotencyKey: &own}, sessionapi.TouchInput{}) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, errReset)
	assert.Equal(t, own, (*sent)[3].Header.Get("Idempotency-Key"))

	ctx, cancel := context.WithCancel(t.Context())
	client, sent = stubbed(func(int, *http.Request) (*http.Response, error) {
		cancel()
		return status(503, "30"), nil
	}).client(t, sessionapi.Retries{})
	resp, err := client.GetSession(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Len(t, *sent, 1)
}
