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
	own := sessionHandlers{s, true}
	return []route{
		{http.MethodPost, "/api/session", s.createSession, []string{"transport"}},
		{http.MethodGet, "/api/session", own.get, []string{"touch"}},
		{http.MethodHead, "/api/session", own.head, nil},
		{http.MethodPut, "/api/session", own.replace, nil},
		{http.MethodPatch, "/api/session", own.patch, nil},
		{http.MethodDelete, "/api/session", s.deleteSession, nil},
		{http.MethodPost, "/api/session/operations", own.jsonPatch, nil},
		{http.MethodPost, "/api/session/touch", own.touch, nil},
		{http.MethodPost, "/api/session/regenerate", s.regenerateSession, []string{"transport"}},
		{http.MethodPost, "/api/session/token", s.issueJWT, nil},
		{http.MethodGet, "/api/user/sessions", s.listUserSessions, []string{"limit", "cursor", "touch"}},
		{http.MethodDelete, "/api/user/sessions", s.deleteUserSessions, []string{"except"}},
		{http.MethodDelete, "/api/user/sessions/{id}", s.deleteUserSession, nil},
		{http.MethodGet, "/api/session/stats", s.getStats, nil},
		{http.MethodGet, "/stats", s.getStats, nil},

		{http.MethodGet, keySetPath, s.getKeySet, nil},
		{http.MethodGet, "/", s.getRoot, nil},
		{http.MethodGet, "/favicon.ico", s.getFavicon, nil},
		{http.MethodGet, healthPath, s.getHealth, nil},
		{http.MethodGet, readinessPath, s.getReadiness, nil},
		{http.MethodGet, "/metrics", s.getMetrics, nil},
		{http.MethodGet, "/openapi.yaml", s.getContract, nil},
		{http.MethodGet, "/docs", s.getDocs, nil},
		{http.MethodGet, "/docs/{file}", s.getDocsFile, nil},
	}
}

// serviceRoutes are for callers with a service token.
func (s *Server) serviceRoutes() []route {
	named := sessionHandlers{s, false}
	return []route{
		{http.MethodPost, "/api/session/introspect", s.introspectToken, nil},
		{http.MethodPost, "/api/sessions", s.createSessionFor, []string{"namespace"}},
		{http.MethodGet, "/api/sessions", s.listSessions, listParameters},
		{http.MethodDelete, "/api/sessions", s.deleteSessions, []string{"namespace", "userId", "except", "all"}},
		{http.MethodGet, "/api/sessions/count", s.countSessions, countParameters},
		{http.MethodPost, "/api/sessions/get", s.getSessions, []string{"namespace"}},
		{http.MethodPost, "/api/sessions/end", s.endSessions, []string{"namespace", "dryRun"}},
		{http.MethodGet, "/api/sessions/{id}", named.get, []string{"namespace", "touch"}},
		{http.MethodHead, "/api/sessions/{id}", named.head, []string{"namespace"}},
		{http.MethodPut, "/api/sessions/{id}", s.putSessionByID, []string{"namespace", "touch", "revive", "reviveExpired"}},
		{http.MethodPatch, "/api/sessions/{id}", named.patch, []string{"namespace", "touch"}},
		{http.MethodDelete, "/api/sessions/{id}", s.deleteSessionByID, []string{"namespace"}},
		{http.MethodPost, "/api/sessions/{id}/touch", named.touch, []string{"namespace"}},
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
	s.literal = make(map[string][]string)
	r := chi.NewRouter()
	r.NotFound(s.handle(s.notFound))
	r.MethodNotAllowed(s.handle(s.methodNotAllowed))
	r.Use(s.recordRequest, s.recoverPanic, s.requireAllowedHost)
	r.Use(share) // before routing: OPTIONS is no route's method
	r.Use(middlewareOf(s, checkQuery), protect)

	s.add(r, s.ownRoutes(), false)
	r.HandleFunc(verifyPath, s.verify) // for the list: ServeHTTP is faster, and knows more methods
	r.HandleFunc(verifyPath+"/*", s.verify)
	r.Group(func(r chi.Router) {
		r.Use(middlewareOf(s, s.requireService))
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
		e := &Endpoint{
			s: s, serve: one.serve, query: one.query, strict: service || !isSafe(one.method),
			pattern: strings.Contains(one.path, "{"), metrics: routeMetrics{route: one.path},
		}
		r.Method(one.method, one.path, e)
		methods := []string{one.method}
		if one.method == http.MethodGet && !listed[operation{http.MethodHead, one.path}] {
			r.Method(http.MethodHead, one.path, e)
			methods = append(methods, http.MethodHead)
		}
		if !e.pattern {
			s.literal[one.path] = append(s.literal[one.path], methods...)
		}
	}
}
