package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"session-api/internal/token"
)

// Handler makes a span of each request to next, named after its route. The
// requests of probes get none. The trace that a request brings goes on where
// trusted says so of its sender. Everybody else's span begins a trace of its own
// and has a link to the one that came: a stranger decides neither what is sampled
// nor what a trace holds.
func (t *Tracing) Handler(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	spans := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Context().Value(requestKey{}).(*http.Request) //nolint:forcetypeassert // set below
		// The router fills this in, and uses it as its own.
		route := chi.NewRouteContext()
		next.ServeHTTP(w, asked.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, route)))
		if pattern := route.RoutePattern(); pattern != "" {
			span := trace.SpanFromContext(r.Context())
			span.SetName(r.Method + " " + pattern)
			span.SetAttributes(semconv.HTTPRoute(pattern))
		}
	}), "request",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(t.propagator),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return !trusted(r) }),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method }),
		otelhttp.WithFilter(func(r *http.Request) bool { return !probes[r.URL.Path] }),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.WithContext(context.WithValue(r.Context(), requestKey{}, r))
		shown.URL = harmless(r.URL)
		spans.ServeHTTP(w, shown)
	})
}

// requestKey finds the request as it came in its context.
type requestKey struct{}

// probes are asked all the time, and tell nothing.
var probes = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// harmless returns what a span may say of a URL: not the query, and no id.
func harmless(u *url.URL) *url.URL {
	shown := &url.URL{Path: u.Path}
	if before, after, ok := token.CutID(u.Path); ok {
		shown.Path = strings.TrimSuffix(before+"{id}"+after, "/")
	}
	if token.InPath(shown.Path) {
		shown.Path = "/" // a token has no business in a path, and none in a trace
	}
	return shown
}
