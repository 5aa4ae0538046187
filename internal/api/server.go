// Package api is the HTTP face of the service: routes, credentials, cookies,
// and the one place where errors become problems.
package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// Server answers the routes of the contract.
type Server struct {
	Options
	handler    http.Handler
	router     chi.Routes
	keys       atomic.Pointer[keyring]
	metrics    *metrics
	lines      sampler
	cookieForm cookieForm
	sent       *sentCookies
	foreign    foreignCookies
	httplog    http.Handler
	creations  *httprate.RateLimiter // nil for no limit
	startedAt  time.Time
	draining   atomic.Bool
	streams    *streams
	// bodies and answers bound the bytes of large ones that are held at once.
	bodies, answers *budget
	// turns are taken by what keeps a processor busy.
	turns chan struct{}
	// touches are those of gateways' questions.
	touches lateTouches
	notices notices
}

// New returns a server over o. The error names what o has wrong.
func New(o Options) (*Server, error) {
	if o.Sessions == nil || o.Rules == nil || o.Cleaner == nil || o.Logger == nil {
		return nil, errors.New("api: Sessions, Rules, Cleaner and Logger are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.VerifyTimeout <= 0 {
		o.VerifyTimeout = DefaultVerifyTimeout
	}
	s := &Server{Options: o, startedAt: o.Now(), lines: sampler{every: uint64(max(0, o.AccessLog.Every))}}
	if err := s.SetSecrets(o.Secrets); err != nil {
		return nil, err
	}
	s.streams = newStreams(o.MaxStreams)
	size := cmp.Or(o.MaxBodyMemory, defaultBodyMemory)
	s.bodies, s.answers = newBudget(size), newBudget(size)
	s.turns = make(chan struct{}, runtime.GOMAXPROCS(0))
	s.metrics = newMetrics(s)
	s.cookieForm, s.sent = s.newCookieForm(), newSentCookies()
	s.httplog = s.newHTTPLog()
	if o.CreatePerMinute > 0 {
		s.creations = s.newCreationLimiter()
	}
	router, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.router, s.handler = router, router
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isVerify(r) {
		s.verify(w, r)
		return
	}
	s.route(w, r)
}

// Routes are the routes, for a test to walk.
func (s *Server) Routes() chi.Routes { return s.router }

// SetSecrets replaces the secrets for all requests that start from now on.
func (s *Server) SetSecrets(secrets Secrets) error {
	if len(secrets.Session) == 0 {
		return errors.New("api: at least one session secret is required")
	}
	s.keys.Store(newKeyring(secrets))
	return nil
}

// Drain makes the readiness check fail, so that no new traffic is sent here,
// and ends the event streams. One that is opened from now on ends at once, with
// a success: its client tries again, here or where it is sent.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.streams.end()
}

func (s *Server) routes() (chi.Router, error) {
	share, protect, err := s.crossOrigin()
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.NotFound(s.handle(s.notFound))
	r.MethodNotAllowed(s.handle(s.methodNotAllowed))
	if len(s.TrustedProxies) > 0 {
		r.Use(middleware.ClientIPFromXFF(s.TrustedProxies...))
	}
	r.Use(s.account, s.recoverPanic)
	if share != nil {
		r.Use(share) // before routing: OPTIONS is no route's method
	}
	r.Use(guard(s, checkQuery), protect)

	r.Post("/api/session", s.handle(s.createSession))
	r.Get("/api/session", s.handle(s.getSession))
	r.Head("/api/session", s.handle(s.headSession))
	r.Put("/api/session", s.handle(s.putSession))
	r.Patch("/api/session", s.handle(s.patchSession))
	r.Delete("/api/session", s.handle(s.deleteSession))
	r.Post("/api/session/operations", s.handle(s.applyOperations))
	r.Post("/api/session/touch", s.handle(s.touchSession))
	r.Post("/api/session/regenerate", s.handle(s.regenerateSession))
	r.Get("/api/session/stats", s.handle(s.getStats))
	r.Get("/stats", s.handle(s.getStats))
	r.HandleFunc(verifyPath, s.verify) // for the list: ServeHTTP is faster, and knows more methods
	r.HandleFunc(verifyPath+"/*", s.verify)

	r.Group(func(r chi.Router) {
		r.Use(guard(s, s.requireService))
		r.Post("/api/sessions", s.handle(s.createSessionFor))
		r.Get("/api/sessions", s.handle(s.listSessions))
		r.Delete("/api/sessions", s.handle(s.deleteSessions))
		r.Get("/api/sessions/count", s.handle(s.countSessions))
		r.Get("/api/sessions/{id}", s.handle(s.getSessionByID))
		r.Head("/api/sessions/{id}", s.handle(s.headSessionByID))
		r.Put("/api/sessions/{id}", s.handle(s.putSessionByID))
		r.Patch("/api/sessions/{id}", s.handle(s.patchSessionByID))
		r.Delete("/api/sessions/{id}", s.handle(s.deleteSessionByID))
		r.Post("/api/sessions/{id}/touch", s.handle(s.touchSessionByID))
		r.Post("/api/sessions/{id}/regenerate", s.handle(s.regenerateSessionByID))
		r.Get("/api/events", s.handle(s.streamEvents))
		r.Get("/api/export", s.handle(s.exportSessions))
		r.Post("/api/import", s.handle(s.importSessions))
		r.Post("/api/cleanup", s.handle(s.runCleanup))
	})

	r.Get("/", s.handle(s.getRoot))
	r.Get("/favicon.ico", s.handle(s.getFavicon))
	r.Get("/healthz", s.handle(s.getHealth))
	r.Get("/readyz", s.handle(s.getReadiness))
	r.Method(http.MethodGet, "/metrics", s.metrics.handler())
	r.Get("/openapi.yaml", s.handle(s.getContract))
	r.Get("/docs", s.handle(s.getDocs))
	r.Get("/docs/{file}", s.handle(s.getDocsFile))
	return r, nil
}

// handler is a route's handler. An error that it returns has nothing written
// yet, and becomes the problem that the error table gives for it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &scopeOf(r).exchange
		x.ResponseWriter, x.s, x.r = w, s, r
		defer x.end()
		if err := h(x, r); err != nil {
			s.writeProblem(x, r, err)
		}
	}
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

func (s *Server) allowedMethods(path string) []string {
	var allowed []string
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		if s.router.Match(chi.NewRouteContext(), m, path) {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

// key names a session of the caller's own routes.
func key(id string) store.Key {
	return store.Key{Namespace: schema.DefaultNamespace, ID: id}
}

// revokeTimeout is how long ending a session may take after its caller left.
const revokeTimeout = 5 * time.Second

// revocation is a context for ending a session: a caller that hangs up must
// not stop what it asked for half-way.
func revocation(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
}
