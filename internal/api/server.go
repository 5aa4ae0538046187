package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"session-api/internal/admission"
	"session-api/internal/clientaddr"
	"session-api/internal/jwt"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// Server answers the routes of the contract.
type Server struct {
	Options
	handler http.Handler
	router  chi.Routes
	// literal are the methods of the paths without parameters.
	literal        map[string][]string
	keys           atomic.Pointer[keys]
	uses           *tokenUses
	jwt            *jwt.Issuer // nil where none are issued
	metrics        *metrics
	verified       routeMetrics // of authorization requests
	lines          sampler
	cookieTemplate cookieTemplate
	sent           *cookieLifetimes
	agents         *agents
	foreign        foreignCookies
	httplog        http.Handler
	creations      creationLimits
	// services are the sessions as callers with a service token change them.
	services  *store.Sessions
	startedAt time.Time
	draining  atomic.Bool
	streams   *streamLimiter
	proxies   clientaddr.Proxies
	// hints limits log lines that point an operator to a setting.
	hints *logLimiter
	hosts hosts
	// keepAlive is the value of the header, nil for none.
	keepAlive []string
	// lingering is a semaphore of requests whose unread bodies are discarded.
	lingering chan struct{}
	// bodies and answers bound the memory for large request bodies and answers.
	bodies, answers *admission.Semaphore
	cpuSlots        admission.Slots
	// touches are those of authorization requests.
	touches backgroundTouches
	// notices are lines about gateways.
	notices *logLimiter
	// refusals and lapses limit entries of the audit log.
	refusals, lapses *entryLimiter
	// backingUp is locked while a backup is sent.
	backingUp sync.Mutex
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
	s := &Server{Options: o, services: o.Sessions.ForServices(), startedAt: o.Now(), lines: sampler{every: uint64(max(0, o.AccessLog.Every))}, uses: newTokenUses()}
	if err := s.SetSecrets(o.Secrets); err != nil {
		return nil, err
	}
	var err error
	if s.jwt, err = s.newIssuer(); err != nil {
		return nil, err
	}
	s.Secrets = Secrets{} // handlers sign and verify by keys alone
	s.streams = newStreamLimiter(o.MaxStreams)
	s.hints, s.notices = newLogLimiter(maxHints), newLogLimiter(maxNotices)
	s.refusals, s.lapses = newEntryLimiter(refusalsPerWindow), newEntryLimiter(lapsesPerWindow)
	size := cmp.Or(o.MaxBodyMemory, DefaultBodyMemory)
	s.bodies, s.answers = admission.NewBodySemaphore(size), admission.NewSemaphore(size)
	s.lingering = make(chan struct{}, maxLingering)
	s.keepAlive = keepAliveHint(o.IdleTimeout)
	// With a slot for each processor, small requests would wait until the scheduler
	// preempts large ones, after 10 ms each.
	s.cpuSlots = admission.NewSlots(max(1, runtime.GOMAXPROCS(0)-1))
	s.metrics = newMetrics(s)
	s.verified.route = verifyPath
	s.hosts = newHosts(o.AllowedHosts, o.Host)
	s.cookieTemplate, s.sent, s.agents = s.newCookieTemplate(), newCookieLifetimes(), newAgents()
	s.httplog = s.newHTTPLog()
	if s.proxies, err = clientaddr.NewProxies(o.TrustedProxies, o.ClientIPHeader); err != nil {
		return nil, err
	}
	s.creations = newCreationLimits(o.CreatePerMinute, o.CreateBytesPerMinute)
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
		if r.ContentLength != 0 && len(w.Header()["Content-Length"]) > 0 { // a gateway sees where the answer ends
			s.linger(w, r, &requestBody{ReadCloser: r.Body})
		}
		return
	}
	s.route(w, r)
}

// Routes are the routes, for a test to walk.
func (s *Server) Routes() chi.Routes { return s.router }

// FromTrustedProxy reports whether the request's peer is one of the gateways in front.
func (s *Server) FromTrustedProxy(r *http.Request) bool { return s.proxies.IsTrustedPeer(r) }

// Drain makes the readiness check fail, so that no new traffic is sent here,
// and ends the event streams. One that is opened from now on ends at once, with
// a success: its client tries again, here or where it is sent.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.streams.end()
}

// defaultKey names a session of the caller's own routes.
func defaultKey(id string) backend.Key {
	return backend.Key{Namespace: schema.DefaultNamespace, ID: id}
}

// revokeTimeout is how long ending a session may take after its caller left.
const revokeTimeout = 5 * time.Second

// outliving is a context for what goes on, for that long at most, if the caller hangs up:
// that must not stop half-way what it asked for.
func outliving(r *http.Request, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), timeout)
}
