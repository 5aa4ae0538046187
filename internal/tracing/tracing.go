// Package tracing sends what requests do to an OpenTelemetry collector: a span
// for each request and one for each call of the store, in the trace that the
// caller began (W3C Trace Context). Where no collector is configured nothing of
// this package is in the way of a request.
//
// A span holds no token, no configured secret, no query and no full session id.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"session-api/internal/token"
)

// scope names what makes the spans.
const scope = "session-api"

// Tracing makes spans and sends them.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	// propagator reads the caller's trace.
	propagator propagation.TextMapPropagator
	// secrets are what no span may hold; nil until SetSecrets.
	secrets atomic.Pointer[token.Secrets]
}

// SetSecrets replaces the secrets that are taken out of all spans sent from now
// on.
func (t *Tracing) SetSecrets(secrets ...[][]byte) { t.secrets.Store(token.NewSecrets(secrets...)) }

// Start begins to send spans by OTLP over HTTP to the endpoint, a URL to which
// the path of the signal is appended, as OTEL_EXPORTER_OTLP_ENDPOINT has it.
// Sampler, batches and resource attributes are taken from the other OTEL_
// variables of the process's environment, as OpenTelemetry specifies them. What
// goes wrong later is logged; requests do not notice.
func Start(ctx context.Context, endpoint string, headers http.Header, version string, logger *slog.Logger) (*Tracing, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the trace collector: %w", err)
	}
	t := &Tracing{}
	exporter, err := otlptrace.New(ctx, &uploader{url: target.JoinPath("v1", "traces").String(), headers: headers, hide: t.hide})
	if err != nil {
		return nil, fmt.Errorf("preparing the trace exporter: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("session-api"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count more
	)
	if err != nil {
		return nil, fmt.Errorf("describing the service for traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.WarnContext(ctx, "sending traces", "error", err)
	}))
	return t.with(sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(described))), nil
}

// with returns t with spans of the provider.
func (t *Tracing) with(provider *sdk.TracerProvider) *Tracing {
	t.provider = provider
	t.tracer = provider.Tracer(scope)
	t.propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	return t
}

// Close sends what is left.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last traces: %w", err)
	}
	return nil
}
