package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/token"
)

// requestState is the state of one request while it is handled. It is the
// request's context, the router's part included: a context value for each of its
// parts would cost a copy of the request for each.
type requestState struct {
	context.Context
	route *chi.Context
	start time.Time
	// endpoint is what answers the request; nil where that is a middleware.
	endpoint *Endpoint

	requestID [1]string // the header's value
	response  responseWriter
	body      requestBody
	facts     requestFacts

	// What the access log tells of the request once it is answered.
	took     time.Duration
	session  string         // the id
	code     schema.Code    // of the problem that is the answer
	caller   *token.Service // that came with the request, nil for none
	quiet    bool           // not worth a line, unless everything is
	panicked any            // what has to be panicked with again
}

// stateKey is the context key of a request's state.
type stateKey struct{}

// Value implements context.Context.
func (c *requestState) Value(key any) any {
	switch key {
	case stateKey{}:
		return c
	case chi.RouteCtxKey:
		return c.route
	case store.ObserverKey{}:
		return &c.facts
	case store.RecorderKey{}:
		return c.recorder()
	}
	return c.Context.Value(key)
}

// stateOf returns the state of a request that route has begun.
func stateOf(r *http.Request) *requestState {
	return r.Context().Value(stateKey{}).(*requestState) //nolint:forcetypeassert // every route is behind it
}

// routeContexts are chi's, used again as chi itself does it.
var routeContexts = sync.Pool{New: func() any { return chi.NewRouteContext() }}

// route hands the request to its route.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	c := &requestState{Context: r.Context(), start: time.Now()}
	s.setCommonHeaders(w, r, readsBody(r.Method), &c.requestID)
	if h := w.Header(); s.keepAlive != nil && keepsAlive(r) && len(h["Connection"]) == 0 {
		h[headerKeepAlive] = s.keepAlive
	}
	sent := r
	r = r.WithContext(c)
	if r.ContentLength == 0 || r.Body == nil {
		s.dispatch(w, r, c)
		return
	}
	c.body.ReadCloser = r.Body
	r.Body = &c.body
	s.dispatch(w, r, c)
	s.linger(w, sent, &c.body)
}

// dispatch calls the router.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, c *requestState) {
	if c.route = chi.RouteContext(c.Context); c.route != nil { // a caller, such as tracing, reads the route
		s.handler.ServeHTTP(w, r)
		return
	}
	c.route = routeContexts.Get().(*chi.Context) //nolint:forcetypeassert // the pool holds nothing else
	c.route.Reset()
	c.route.Routes = s.router
	s.handler.ServeHTTP(w, r)
	routeContexts.Put(c.route)
}
