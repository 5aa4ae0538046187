package httpserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	// handshakeGrace is how long TCP handshakes may take to complete once no
	// other can begin.
	handshakeGrace = 50 * time.Millisecond
	// silentGrace is how long a shutdown waits for the first request of
	// connections that are open but silent.
	silentGrace = 500 * time.Millisecond
	// newcomerGrace is how long it waits at least since such a connection was
	// accepted, or began to send: clients on a busy machine are not that quick.
	newcomerGrace = 2 * time.Second
)

// disableKeepAlives sends Connection: close with each HTTP/1.1 response once the
// shutdown has begun. A connection that is kept alive would be closed in the end,
// perhaps while a request is on its way. HTTP/2 needs none of this: net/http sends
// GOAWAY in the end, and clients repeat what was not begun.
func (s *Server) disableKeepAlives(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// DisableKeepAlives lets no connection of HTTP/1.1 serve another request after
// the present one. Shutdown does so, too.
func (s *Server) DisableKeepAlives() { s.draining.Store(true) }

// Shutdown lets requests in flight finish: after the delay no connection is
// accepted any more, and what is not done by the timeout is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.DisableKeepAlives()
	<-time.After(s.opts.ShutdownDelay)
	ctx, cancel := context.WithTimeout(ctx, s.opts.ShutdownTimeout)
	defer cancel()
	if refuse(s.listener) == nil {
		awaitBacklog(ctx, s.listener)
	}
	done := make(chan struct{})
	defer close(done)
	go s.closeSilent(ctx, done)
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.opts.Logger.WarnContext(ctx, "requests were cut off", "afterMs", s.opts.ShutdownTimeout.Milliseconds())
		return s.http.Close()
	}
	return err
}

// closeSilent closes silent connections every silentGrace until done, and sends
// GOAWAY to those that have only now begun to speak HTTP/2.
func (s *Server) closeSilent(ctx context.Context, done <-chan struct{}) {
	grace := time.NewTicker(silentGrace)
	defer grace.Stop()
	for {
		select {
		case <-grace.C:
			s.conns.closeSilent(newcomerGrace)
			if s.opts.HTTP2 {
				once, cancel := context.WithCancel(ctx)
				cancel()
				_ = s.http.Shutdown(once) // sends GOAWAY to each of them, and does not wait
			}
		case <-done:
			return
		}
	}
}

// awaitBacklog returns when the kernel's backlog of connections is accepted.
func awaitBacklog(ctx context.Context, listener net.Listener) {
	look := time.NewTicker(handshakeGrace)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if waiting, err := backlog(listener); err != nil || waiting == 0 {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
