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
	access       access   // what it asks of a service token
	key          keyUse   // what an Idempotency-Key does
}

// ownRoutes are about the caller's own session, or about the service.
func (s *Server) ownRoutes() []route {
	own := sessionHandlers{s, true}
	return []route{
		{http.MethodPost, "/api/session", s.createSession, []string{"transport"}, anybody, keyOfNew},
		{http.MethodGet, "/api/session", own.get, []string{"touch"}, anybody, noKey},
		{http.MethodHead, "/api/session", own.head, nil, anybody, noKey},
		{http.MethodPut, "/api/session", own.replace, nil, anybody, keyOfNew},
		{http.MethodPatch, "/api/session", own.patch, nil, anybody, keyOfNew},
		{http.MethodDelete, "/api/session", s.deleteSession, nil, anybody, noKey},
		{http.MethodPost, "/api/session/operations", own.jsonPatch, nil, anybody, keyOfOne},
		{http.MethodPost, "/api/session/touch", own.touch, nil, anybody, keyOfOne},
		{http.MethodPost, "/api/session/regenerate", s.regenerateSession, []string{"transport"}, anybody, keyOfOne},
		{http.MethodPost, "/api/session/token", s.issueJWT, nil, anybody, noKey},
		{http.MethodGet, "/api/user/sessions", s.listUserSessions, []string{"limit", "cursor", "touch"}, anybody, noKey},
		{http.MethodDelete, "/api/user/sessions", s.deleteUserSessions, []string{"except"}, anybody, noKey},
		{http.MethodDelete, "/api/user/sessions/{id}", s.deleteUserSession, nil, anybody, noKey},
		{http.MethodGet, "/api/session/stats", s.getStats, nil, anybody, noKey},
		{http.MethodGet, "/stats", s.getStats, nil, anybody, noKey},

		{http.MethodGet, keySetPath, s.getKeySet, nil, anybody, noKey},
		{http.MethodGet, "/", s.getRoot, nil, anybody, noKey},
		{http.MethodGet, "/favicon.ico", s.getFavicon, nil, anybody, noKey},
		{http.MethodGet, healthPath, s.getHealth, nil, anybody, noKey},
		{http.MethodGet, readinessPath, s.getReadiness, nil, anybody, noKey},
		{http.MethodGet, "/metrics", s.getMetrics, nil, anybody, noKey},
		{http.MethodGet, "/openapi.yaml", s.getContract, nil, anybody, noKey},
		{http.MethodGet, "/docs", s.getDocs, nil, anybody, noKey},
		{http.MethodGet, "/docs/{file}", s.getDocsFile, nil, anybody, noKey},
	}
}

// serviceRoutes are for callers with a service token.
func (s *Server) serviceRoutes() []route {
	named := sessionHandlers{s, false}
	return []route{
		{http.MethodPost, "/api/session/introspect", s.introspectToken, nil, reads, noKey},
		{http.MethodPost, "/api/sessions", s.createSessionFor, []string{"namespace"}, writes, keyOfNew},
		{http.MethodGet, "/api/sessions", s.listSessions, listParameters, reads, noKey},
		{http.MethodDelete, "/api/sessions", s.deleteSessions, []string{"namespace", "userId", "except", "all"}, administers, noKey},
		{http.MethodGet, "/api/sessions/count", s.countSessions, countParameters, reads, noKey},
		{http.MethodPost, "/api/sessions/get", s.getSessions, []string{"namespace"}, reads, noKey},
		{http.MethodPost, "/api/sessions/end", s.endSessions, []string{"namespace", "dryRun"}, administers, keyOfMany},
		{http.MethodGet, "/api/sessions/{id}", named.get, []string{"namespace", "touch"}, reads, noKey},
		{http.MethodHead, "/api/sessions/{id}", named.head, []string{"namespace"}, reads, noKey},
		{http.MethodPut, "/api/sessions/{id}", s.putSessionByID, []string{"namespace", "touch", "revive", "reviveExpired"}, writes, keyOfNew},
		{http.MethodPatch, "/api/sessions/{id}", named.patch, []string{"namespace", "touch"}, writes, keyOfOne},
		{http.MethodDelete, "/api/sessions/{id}", s.deleteSessionByID, []string{"namespace"}, writes, noKey},
		{http.MethodPost, "/api/sessions/{id}/touch", named.touch, []string{"namespace"}, writes, keyOfOne},
		{http.MethodPost, "/api/sessions/{id}/regenerate", s.regenerateSessionByID, []string{"namespace"}, writes, keyOfOne},
		{http.MethodGet, "/api/events", s.streamEvents, []string{"namespace", "type", "userId"}, reads, noKey},
		{http.MethodGet, "/api/export", s.exportSessions, []string{"namespace"}, administersAll, noKey},
		{http.MethodGet, "/api/backup", s.backUp, nil, administersAll, noKey},
		{http.MethodPost, "/api/import", s.importSessions, nil, administersAll, keyOfStream},
		{http.MethodPost, "/api/cleanup", s.runCleanup, []string{"dryRun"}, administersAll, noKey},
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
			s: s, serve: one.serve, query: one.query, key: one.key, strict: service || !isSafe(one.method),
			access: one.access, pattern: strings.Contains(one.path, "{"), metrics: routeMetrics{route: one.path},
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
