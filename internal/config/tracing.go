package config

import (
	"fmt"
	"net/http"

	"session-api/internal/tracing"
)

// Tracing are the settings of OpenTelemetry.
type Tracing struct {
	Endpoint string       `env:"OTEL_EXPORTER_OTLP_ENDPOINT" values:"http:// or https:// address" doc:"OpenTelemetry collector to which spans are exported, by OTLP over HTTP: http://collector:4318. Without it, nothing is traced. The standard variables of the OpenTelemetry SDK apply, such as OTEL_TRACES_SAMPLER and OTEL_SERVICE_NAME."`
	Headers  TraceHeaders `env:"OTEL_EXPORTER_OTLP_HEADERS" values:"list of name=value" doc:"Headers sent with the exported spans, such as a key of the collector."`
}

// TraceHeaders are the headers of requests to the collector. They are masked like
// secrets.
type TraceHeaders struct {
	secret
	Values http.Header
}

func parseTraceHeaders(v string) (TraceHeaders, error) {
	values, err := tracing.ParseHeaders(v)
	if err != nil {
		return TraceHeaders{}, fmt.Errorf("is %w", err)
	}
	return TraceHeaders{secret(v), values}, nil
}
