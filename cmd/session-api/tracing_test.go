package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"session-api/internal/config"
)

func TestTracesReachTheCollector(t *testing.T) {
	got := make(chan int, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- len(body)
	}))
	t.Cleanup(collector.Close)
	s := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
	require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)
	require.Zero(t, s.end(t))
	assert.NotEmpty(t, got, "what is left is sent before the end")
}

// No span that leaves the service holds a token or a configured secret, wherever
// a client may have put it.
func TestSpansHoldNoSecret(t *testing.T) {
	var mu sync.Mutex
	var sent []*otlp.ResourceSpans
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var data otlp.TracesData
		assert.NoError(t, proto.Unmarshal(body, &data))
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, data.GetResourceSpans()...)
	}))
	t.Cleanup(collector.Close)
	const odd = `odd/token+with=signs"and~0123456789`
	s := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "SERVICE_TOKENS": odd})
	created := do(t, http.MethodPost, s.url("/api/session?transport=bearer"), nil, "")
	var session struct{ Token, ID string }
	require.NoError(t, json.Unmarshal([]byte(created.body), &session))
	require.NotEmpty(t, session.Token)
	_, signature, _ := strings.Cut(session.Token, ".")

	for _, secret := range []string{session.Token, odd, session.ID} {
		escaped := url.QueryEscape(secret)
		for _, spelt := range []string{secret, escaped, url.PathEscape(secret), url.QueryEscape(escaped)} {
			headers := http.Header{
				"User-Agent": {"agent " + spelt}, "Referer": {"https://app.example/" + spelt}, "X-Forwarded-For": {spelt},
				"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
				"Tracestate":  {"vendor=" + strings.NewReplacer("=", "", ",", "").Replace(spelt)},
			}
			do(t, http.MethodGet, s.url("/api/session?of="+url.QueryEscape(spelt)), headers, "")
			do(t, http.MethodGet, s.url("/docs/"+url.PathEscape(spelt)), headers, "")
			do(t, http.MethodGet, s.url("/api/sessions/"+url.PathEscape(spelt)+"/touch"), headers, "")
		}
	}
	require.Zero(t, s.end(t))
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, sent)
	var told strings.Builder
	for _, spans := range sent {
		told.WriteString(protojson.Format(spans))
	}
	for _, secret := range []string{signature[:12], session.ID, "odd/token", "odd%2Ftoken", "odd%252Ftoken"} {
		assert.NotContains(t, told.String(), secret)
	}
	assert.Contains(t, told.String(), "agent [redacted]")
	assert.Contains(t, told.String(), "/api/session", "the rest is there")
}

// Who is no gateway decides neither what is sampled nor what trace goes on.
func TestStrangersDoNotForceTraces(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0")
	for proxies, traced := range map[string]bool{"": false, "203.0.113.0/24": false, "127.0.0.0/8": true} {
		got := make(chan int, 10)
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- len(body)
		}))
		t.Cleanup(collector.Close)
		s := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "TRUSTED_PROXIES": proxies})
		headers := http.Header{
			"Traceparent":     {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
			"X-Forwarded-For": {"127.0.0.1"},
		}
		require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), headers, "").status)
		require.Zero(t, s.end(t))
		assert.Equal(t, traced, len(got) > 0, proxies)
	}
}

func TestCollectorsAddressIsChecked(t *testing.T) {
	for _, address := range []string{"collector:4318", "grpc://collector:4317", "http://"} {
		_, err := config.Load(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address})
		assert.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_ENDPOINT", address)
	}
	_, err := config.Load(map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "secret-key"})
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_HEADERS")
	assert.NotContains(t, err.Error(), "secret-key")
}
