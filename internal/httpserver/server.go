package httpserver

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// maxHeaderBytes lets net/http answer 431 to headers over 16 KiB: it reads
// 4096 bytes more than it is told.
const maxHeaderBytes = 16<<10 - 4096

// Options are the settings of a Server. All are needed but those that say what
// their zero value means.
type Options struct {
	Handler http.Handler
	Logger  *slog.Logger
	// Observer is told of requests and connections that Handler never sees.
	Observer Observer

	// MaxConnections is how many connections are open at once.
	MaxConnections int
	// TrustedPeers may have any number of them.
	TrustedPeers []netip.Prefix
	// MinBodyRate is how many bytes a second a body over HTTP/1.1 must bring on
	// average; 0 for no minimum.
	MinBodyRate int
	// HTTP2 also serves HTTP/2 without TLS, with prior knowledge.
	HTTP2 bool

	// The timeouts are those of http.Server.
	ReadHeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// ShutdownDelay is how long Shutdown goes on accepting connections.
	ShutdownDelay time.Duration
	// ShutdownTimeout is how long requests in flight may take after that.
	ShutdownTimeout time.Duration
}

// Server serves HTTP with a bound on everything that a client can hold. New
// makes one.
type Server struct {
	opts     Options
	http     *http.Server
	conns    *connections
	inFlight *inFlight
	listener net.Listener
	// draining is set when connections are not to be kept alive any more.
	draining atomic.Bool
}

// New returns a Server that does not listen yet.
func New(opts Options) *Server {
	s := &Server{
		opts: opts, inFlight: newInFlight(),
		conns: newConnections(opts.MaxConnections, opts.TrustedPeers, opts.MinBodyRate, opts.Observer),
	}
	s.http = &http.Server{
		Handler:           s.conns.watchBodies(s.inFlight.count(s.disableKeepAlives(opts.Handler))),
		ReadHeaderTimeout: opts.ReadHeaderTimeout,
		ReadTimeout:       opts.ReadTimeout,
		WriteTimeout:      opts.WriteTimeout,
		IdleTimeout:       opts.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         s.conns.track,
		ConnContext:       inContext,
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelWarn),
		// OPTIONS * is the handler's like everything else.
		DisableGeneralOptionsHandler: true,
	}
	if opts.HTTP2 {
		enableHTTP2(s.http, opts.Observer.CountRefused)
	}
	return s
}

// Listen listens on a TCP address. Multipath TCP is off: its sockets take no
// filter, which Shutdown needs.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(ctx, "tcp", address)
}

// Start serves the connections of a listener, made by Listen, until Shutdown or Close. The
// channel receives why serving ended.
func (s *Server) Start(listener net.Listener) <-chan error {
	s.listener = listener
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(s.conns.limit(listener)) }()
	return ended
}

// Close closes the listener and all connections at once.
func (s *Server) Close() error { return s.http.Close() }

// Wait lets no further request be handled, and returns when no handler runs. It
// is for after Shutdown or Close: what handlers use can be closed then.
func (s *Server) Wait() { s.inFlight.wait() }
