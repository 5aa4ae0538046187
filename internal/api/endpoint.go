package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Endpoint is the handler of one method of a path.
type Endpoint struct {
	s      *Server
	serve  handler
	query  []string
	key    keyUse
	strict bool // refuses unknown query parameters
	access access
	// pattern: the path has parameters, and may be that of another route.
	pattern bool
	// metrics are without a route where the router knows none.
	metrics routeMetrics
}

// QueryParameters returns the names of the endpoint's query parameters.
func (e *Endpoint) QueryParameters() []string { return e.query }

// TakesIdempotencyKey reports whether an Idempotency-Key means anything to the endpoint.
func (e *Endpoint) TakesIdempotencyKey() bool { return e.key != noKey }

// isForServices reports whether its callers have a service token, where there are any.
func (e *Endpoint) isForServices() bool { return e.access != anybody }

// RequiredScope returns the scope that the endpoint asks of a service token; empty where
// it is for anybody.
func (e *Endpoint) RequiredScope() string {
	if e.access == anybody {
		return ""
	}
	return e.access.scope.String()
}

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := stateOf(r)
	c.endpoint = e
	defer c.response.release()
	err := e.checkPath(w, r)
	if err == nil && c.caller != nil {
		err = e.permit(r, c.caller)
		e.s.recordForbidden(r, c.caller, err)
	}
	if err == nil {
		err = e.checkParameters(r)
	}
	if err == nil {
		if e.takesKey(r) {
			err = e.serveKeyed(&c.response, r)
		} else {
			err = e.serve(w, r)
		}
	}
	if err != nil {
		e.s.writeProblem(w, r, err)
	}
}

// checkPath refuses a path that is a route's own, and that the router has taken for
// another one's with parameters because that has the method.
func (e *Endpoint) checkPath(w http.ResponseWriter, r *http.Request) error {
	if e.pattern && len(e.s.literal[r.URL.Path]) > 0 {
		return e.s.methodNotAllowed(w, r)
	}
	return nil
}

// checkParameters refuses query parameters that the endpoint does not know,
// where it changes something or is for services: a slip in the name of one must
// not make a request mean something else. What others may read they read,
// whatever gateways and browsers add to the query.
func (e *Endpoint) checkParameters(r *http.Request) error {
	if !e.strict {
		return nil
	}
	return refuseUnknown(r.URL.RawQuery, e.query)
}

// isSafe reports whether requests with the method change nothing (RFC 9110
// section 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// handler is a route's handler. An error that it returns has nothing written
// yet, and becomes the problem that the error table gives for it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) handle(h handler) http.HandlerFunc {
	return (&Endpoint{s: s, serve: h}).ServeHTTP
}

func (s *Server) notFound(http.ResponseWriter, *http.Request) error { return errNoRoute }

// methodNotAllowed answers what chi finds no method for, among them methods
// that chi has never heard of, on paths that may not exist either.
func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) error {
	allowed := s.allowedMethods(r.URL.EscapedPath())
	if len(allowed) == 0 {
		return errNoRoute
	}
	for _, m := range allowed {
		w.Header().Add("Allow", m)
	}
	return errMethodNotAllowed
}

// allowedMethods are the methods of a path. One with an empty segment has none:
// the router would take it for an id.
func (s *Server) allowedMethods(path string) []string {
	var allowed []string
	if strings.Contains(path, "//") {
		return nil
	}
	own := s.literal[path]
	for _, m := range sessionMethods {
		if len(own) > 0 && !slices.Contains(own, m) {
			continue
		}
		if s.router.Match(chi.NewRouteContext(), m, path) {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

// sessionMethods are all methods that routes have.
var sessionMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}
