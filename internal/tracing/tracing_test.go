package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

type noCleanup struct{}

func (noCleanup) Run(context.Context, bool) (cleanup.Report, error) {
	return cleanup.Report{}, nil
}
func (noCleanup) Last() (cleanup.Report, bool) { return cleanup.Report{}, false }
func (noCleanup) Totals() cleanup.Totals       { return cleanup.Totals{} }
func (noCleanup) Status() cleanup.Status       { return cleanup.Ready }

// serve runs the API over s, traced by t.
func serve(tb testing.TB, tracing *Tracing, s backend.Store) *httptest.Server {
	tb.Helper()
	rules := &schema.Rules{MaxBytes: 1 << 16, MaxTTL: time.Hour}
	server, err := api.New(api.Options{
		Sessions: store.NewSessions(tracing.Store(s), rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{}),
		Rules:    rules, Cleaner: noCleanup{}, Logger: slog.New(slog.DiscardHandler),
		Secrets: api.Secrets{Session: [][]byte{[]byte("a secret of the test, 32 bytes..")}},
		Cookie:  api.Cookie{Name: "sid"}, IdempotencyTTL: time.Hour,
	})
	require.NoError(tb, err)
	srv := httptest.NewServer(tracing.Handler(server, func(r *http.Request) bool { return r.Header.Get("X-Of") != "a stranger" }))
	tb.Cleanup(srv.Close)
	return srv
}

func do(t *testing.T, method, url string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return reply{resp.StatusCode, resp.Header}
}

type reply struct {
	status int
	header http.Header
}

// recorded returns a tracing whose spans can be read.
func recorded(t *testing.T) (*Tracing, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	return (&Tracing{}).with(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))), recorder
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-01"
)

func TestSpansOfARequest(t *testing.T) {
	tracing, recorder := recorded(t)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	created := do(t, http.MethodPost, srv.URL+"/api/session", "traceparent", parent)
	require.Equal(t, http.StatusCreated, created.status)
	cookie, _, _ := strings.Cut(created.header.Get("Set-Cookie"), ";")
	require.Equal(t, http.StatusOK, do(t, http.MethodGet, srv.URL+"/api/session", "Cookie", cookie, "traceparent", "00-nonsense").status)

	spans := recorder.Ended()
	require.Len(t, spans, 4)
	names := make([]string, 0, len(spans))
	for _, span := range spans {
		names = append(names, span.Name())
	}
	assert.Equal(t, []string{"store Create", "POST /api/session", "store Get", "GET /api/session"}, names)
	assert.Equal(t, traceID, spans[0].SpanContext().TraceID().String(), "the trace that the caller began goes on")
	assert.Equal(t, spans[1].SpanContext().SpanID(), spans[0].Parent().SpanID())
	assert.NotEqual(t, traceID, spans[2].SpanContext().TraceID().String())
	assert.False(t, spans[3].Parent().IsValid(), "a malformed traceparent is no parent")
}

// A key is a secret: no span of a request with one, or of its repeat, has it.
func TestSpansHoldNoIdempotencyKey(t *testing.T) {
	tracing, recorder := recorded(t)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	const key = "8e03978e-40d5-43dd-bc93-6894a57f9324"
	for range 2 {
		require.Equal(t, http.StatusCreated, do(t, http.MethodPost, srv.URL+"/api/session", "Idempotency-Key", key).status)
	}
	require.Equal(t, http.StatusBadRequest, do(t, http.MethodPost, srv.URL+"/api/session", "Idempotency-Key", key+" "+key).status)
	spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	require.NotEmpty(t, spans)
	assert.NotContains(t, fmt.Sprintf("%+v", spans), key[:18])
}

// A stranger's traceparent decides nothing: the span begins a trace of its own,
// and the ratio is held.
func TestStrangersTraceIsLinked(t *testing.T) {
	tracing, recorder := recorded(t)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	do(t, http.MethodPost, srv.URL+"/api/session", "traceparent", parent, "X-Of", "a stranger")
	spans := recorder.Ended()
	require.Len(t, spans, 2)
	span := spans[1]
	assert.NotEqual(t, traceID, span.SpanContext().TraceID().String())
	assert.False(t, span.Parent().IsValid())
	require.Len(t, span.Links(), 1)
	assert.Equal(t, traceID, span.Links()[0].SpanContext.TraceID().String())
	assert.Equal(t, span.SpanContext().TraceID(), spans[0].SpanContext().TraceID(), "what the request does is in its trace")

	never := tracetest.NewSpanRecorder()
	sampled := (&Tracing{}).with(sdk.NewTracerProvider(sdk.WithSpanProcessor(never),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(0)))))
	srv = serve(t, sampled, memory.New(memory.Options{}))
	do(t, http.MethodPost, srv.URL+"/api/session", "traceparent", parent, "X-Of", "a stranger")
	assert.Empty(t, never.Ended())
	do(t, http.MethodPost, srv.URL+"/api/session", "traceparent", parent)
	assert.NotEmpty(t, never.Ended(), "a gateway decides what is sampled")
}

func TestMalformedTraceparentIsIgnored(t *testing.T) {
	for _, malformed := range []string{
		"", "00-nonsense", parent + "-more", "ff" + parent[2:], "0" + parent, parent[:len(parent)-1],
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", "00-" + traceID + "-" + strings.Repeat("0", 16) + "-01",
		"00-" + strings.ToUpper(traceID) + "-00f067aa0ba902b7-01", strings.Repeat("0-", 4000), parent + "," + parent,
	} {
		for _, of := range []string{"a gateway", "a stranger"} {
			tracing, recorder := recorded(t)
			srv := serve(t, tracing, memory.New(memory.Options{}))
			got := do(t, http.MethodPost, srv.URL+"/api/session", "traceparent", malformed, "X-Of", of)
			assert.Equal(t, http.StatusCreated, got.status, malformed)
			spans := recorder.Ended()
			require.Len(t, spans, 2, malformed)
			assert.False(t, spans[1].Parent().IsValid(), malformed)
			assert.Empty(t, spans[1].Links(), malformed)
		}
	}
}

func TestSpansHoldNothingSecret(t *testing.T) {
	tracing, recorder := recorded(t)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	const id, token, user = "an-id-that-a-caller-brought", "s:0123456789abcdef0123456789abcdef.c2lnbmF0dXJl", "user-4711"
	do(t, http.MethodGet, srv.URL+"/api/sessions/"+id+"?namespace=shop", "Authorization", "Bearer "+token)
	do(t, http.MethodPost, srv.URL+"/api/sessions/"+id+"/touch")
	do(t, http.MethodDelete, srv.URL+"/api/sessions?userId="+user)
	do(t, http.MethodGet, srv.URL+"/api/session", "Cookie", "sid="+token)
	do(t, http.MethodGet, srv.URL+"/"+token)
	do(t, http.MethodGet, srv.URL+"/"+strings.ReplaceAll(token, ":", "%3A"))

	spans := recorder.Ended()
	require.NotEmpty(t, spans)
	for _, span := range spans {
		said := span.Name()
		for _, a := range span.Attributes() {
			said += " " + a.Value.String()
		}
		for _, event := range span.Events() {
			for _, a := range event.Attributes {
				said += " " + a.Value.String()
			}
		}
		for _, secret := range []string{id, token[:30], "c2lnbmF0dXJl", user} {
			assert.NotContains(t, said, secret)
		}
	}
}

func TestProbesAreNotTraced(t *testing.T) {
	tracing, recorder := recorded(t)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		do(t, http.MethodGet, srv.URL+path)
	}
	assert.Empty(t, recorder.Ended())
}

// down is a store that cannot be asked.
type down struct{ backend.Store }

func (down) Get(context.Context, time.Time, backend.Key) (schema.Session, error) {
	return schema.Session{}, backend.ErrUnavailable
}

func (down) Peek(context.Context, time.Time, backend.Key) (schema.Session, error) {
	return schema.Session{}, backend.ErrNotFound
}

func TestOnlyFailuresAreErrors(t *testing.T) {
	tracing, recorder := recorded(t)
	s := tracing.Store(down{memory.New(memory.Options{})})
	_, err := s.Get(t.Context(), time.UnixMilli(1), backend.Key{})
	require.ErrorIs(t, err, backend.ErrUnavailable)
	_, err = s.Peek(t.Context(), time.UnixMilli(1), backend.Key{})
	require.ErrorIs(t, err, backend.ErrNotFound)

	spans := recorder.Ended()
	require.Len(t, spans, 2)
	assert.Equal(t, codes.Error, spans[0].Status().Code)
	assert.Equal(t, codes.Unset, spans[1].Status().Code, "that there is no such session is an answer")
}

// locking is a store that several instances share.
type locking struct{ backend.Store }

func (locking) Lock(context.Context, string, time.Duration) (unlock func(), held bool, err error) {
	return func() {}, true, nil
}

func TestStoreStaysWhatElseItIs(t *testing.T) {
	tracing, _ := recorded(t)
	kept := memory.New(memory.Options{})
	_, is := backend.As[backend.Locker](tracing.Store(kept))
	assert.False(t, is)
	_, is = backend.As[backend.Locker](tracing.Store(locking{kept}))
	assert.True(t, is)
}

// collector is an OTLP collector that keeps the names of the spans it gets.
type collector struct {
	mu    sync.Mutex
	busy  int // how often it says so first
	names []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent coltrace.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/base/v1/traces" || r.Header.Get("X-Key") != "k" || proto.Unmarshal(body, &sent) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy > 0 {
		c.busy--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, resource := range sent.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.names = append(c.names, span.GetName())
			}
		}
	}
}

func TestSpansReachACollector(t *testing.T) {
	got := collector{busy: 2}
	receiver := httptest.NewServer(&got)
	t.Cleanup(receiver.Close)
	tracing, err := Start(t.Context(), receiver.URL+"/base", http.Header{"X-Key": {"k"}}, "test", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	do(t, http.MethodPost, srv.URL+"/api/session")
	require.NoError(t, tracing.Close(t.Context()))
	assert.ElementsMatch(t, []string{"store Create", "POST /api/session"}, got.names)
}

func TestCollectorThatIsAway(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var log bytes.Buffer
	tracing, err := Start(t.Context(), gone.URL, nil, "test", slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	srv := serve(t, tracing, memory.New(memory.Options{}))
	assert.Equal(t, http.StatusCreated, do(t, http.MethodPost, srv.URL+"/api/session").status)
	_ = tracing.Close(t.Context())
	assert.Contains(t, log.String(), `msg="sending traces"`, "what could not be sent is told of")
}

func TestParseHeaders(t *testing.T) {
	headers, err := ParseHeaders("api-key=a%20b, X-Scope = team%3D1,,")
	require.NoError(t, err)
	assert.Equal(t, http.Header{"Api-Key": {"a b"}, "X-Scope": {"team=1"}}, headers)
	for _, wrong := range []string{"key", "=v", "k=%zz", "k=a%0d%0aEvil:1"} {
		_, err := ParseHeaders(wrong)
		assert.Error(t, err, wrong)
	}
}
