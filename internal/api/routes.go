package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// route is a line of the route table.
type route struct {
	method, path string
	serve        handler
	query        []string // the query parameters that it knows
}

// ownRoutes are about the caller's own session, or about the service.
func (s *Server) ownRoutes() []route {
	return []route{
		{http.MethodPost, "/api/session", s.createSession, []string{"transport"}},
		{http.MethodGet, "/api/session", s.getSession, []string{"touch"}},
		{http.MethodHead, "/api/session", s.headSession, nil},
		{http.MethodPut, "/api/session", s.putSession, nil},
		{http.MethodPatch, "/api/session", s.patchSession, nil},
		{http.MethodDelete, "/api/session", s.deleteSession, nil},
		{http.MethodPost, "/api/session/operations", s.applyOperations, nil},
		{http.MethodPost, "/api/session/touch", s.touchSession, nil},
		{http.MethodPost, "/api/session/regenerate", s.regenerateSession, []string{"transport"}},
		{http.MethodGet, "/api/session/stats", s.getStats, nil},
		{http.MethodGet, "/stats", s.getStats, nil},

		{http.MethodGet, "/", s.getRoot, nil},
		{http.MethodGet, "/favicon.ico", s.getFavicon, nil},
		{http.MethodGet, "/healthz", s.getHealth, nil},
		{http.MethodGet, "/readyz", s.getReadiness, nil},
		{http.MethodGet, "/metrics", s.getMetrics, nil},
		{http.MethodGet, "/openapi.yaml", s.getContract, nil},
		{http.MethodGet, "/docs", s.getDocs, nil},
		{http.MethodGet, "/docs/{file}", s.getDocsFile, nil},
	}
}

// serviceRoutes are for callers with a service token.
func (s *Server) serviceRoutes() []route {
	return []route{
		{http.MethodPost, "/api/sessions", s.createSessionFor, []string{"namespace"}},
		{http.MethodGet, "/api/sessions", s.listSessions, []string{"namespace", "userId", "limit", "cursor"}},
		{http.MethodDelete, "/api/sessions", s.deleteSessions, []string{"namespace", "userId", "except", "all"}},
		{http.MethodGet, "/api/sessions/count", s.countSessions, []string{"namespace", "userId"}},
		{http.MethodGet, "/api/sessions/{id}", s.getSessionByID, []string{"namespace", "touch"}},
		{http.MethodHead, "/api/sessions/{id}", s.headSessionByID, []string{"namespace"}},
		{http.MethodPut, "/api/sessions/{id}", s.putSessionByID, []string{"namespace", "touch", "revive", "reviveExpired"}},
		{http.MethodPatch, "/api/sessions/{id}", s.patchSessionByID, []string{"namespace", "touch"}},
		{http.MethodDelete, "/api/sessions/{id}", s.deleteSessionByID, []string{"namespace"}},
		{http.MethodPost, "/api/sessions/{id}/touch", s.touchSessionByID, []string{"namespace"}},
		{http.MethodPost, "/api/sessions/{id}/regenerate", s.regenerateSessionByID, []string{"namespace"}},
		{http.MethodGet, "/api/events", s.streamEvents, []string{"namespace", "type", "userId"}},
		{http.MethodGet, "/api/export", s.exportSessions, []string{"namespace"}},
		{http.MethodGet, "/api/backup", s.backUp, nil},
		{http.MethodPost, "/api/import", s.importSessions, nil},
		{http.MethodPost, "/api/cleanup", s.runCleanup, []string{"dryRun"}},
	}
}

// routes returns the router over the tables.
func (s *Server) routes() (chi.Router, error) {
	share, protect, err := s.crossOrigin()
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.NotFound(s.handle(s.notFound))
	r.MethodNotAllowed(s.handle(s.methodNotAllowed))
	r.Use(s.account, s.recoverPanic, s.ownHost)
	r.Use(share) // before routing: OPTIONS is no route's method
	r.Use(guard(s, checkQuery), protect)

	s.add(r, s.ownRoutes(), false)
	r.HandleFunc(verifyPath, s.verify) // for the list: ServeHTTP is faster, and knows more methods
	r.HandleFunc(verifyPath+"/*", s.verify)
	r.Group(func(r chi.Router) {
		r.Use(guard(s, s.requireService))
		s.add(r, s.serviceRoutes(), true)
	})
	return r, nil
}

// add puts the routes into the router. HEAD is had wherever GET is: the same
// handler answers it where the table has none of its own, without the body.
func (s *Server) add(r chi.Router, routes []route, service bool) {
	type operation struct{ method, path string }
	listed := make(map[operation]bool)
	for _, one := range routes {
		listed[operation{one.method, one.path}] = true
	}
	for _, one := range routes {
		e := &Endpoint{s: s, serve: one.serve, query: one.query, strict: service || !isSafe(one.method)}
		r.Method(one.method, one.path, e)
		if one.method == http.MethodGet && !listed[operation{http.MethodHead, one.path}] {
			r.Method(http.MethodHead, one.path, e)
		}
	}
}

// Endpoint answers a method of a path.
type Endpoint struct {
	s      *Server
	serve  handler
	query  []string
	strict bool // refuses query parameters that it does not know
}

// QueryParameters are the names of those that the endpoint knows.
func (e *Endpoint) QueryParameters() []string { return e.query }

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &scopeOf(r).exchange
	x.ResponseWriter, x.s, x.r = w, e.s, r
	defer x.end()
	err := e.checkParameters(r)
	if err == nil {
		err = e.serve(x, r)
	}
	if err != nil {
		e.s.writeProblem(x, r, err)
	}
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
	for _, m := range sessionMethods {
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
