package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestCollectorsAddressIsChecked(t *testing.T) {
	for _, address := range []string{"collector:4318", "grpc://collector:4317", "http://"} {
		_, err := load(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address})
		assert.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_ENDPOINT", address)
	}
	_, err := load(map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "secret-key"})
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_HEADERS")
	assert.NotContains(t, err.Error(), "secret-key")
}
