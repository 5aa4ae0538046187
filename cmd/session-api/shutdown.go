package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// handshakeGrace is how long connections that have begun may take to be
	// there when no other can begin any more.
	handshakeGrace = 50 * time.Millisecond
	// silentGrace is how long a shutdown waits for the first request of
	// connections that are open but silent.
	silentGrace = 500 * time.Millisecond
	// endGrace is how long it waits for background work that was told to stop,
	// and for requests that were cut off.
	endGrace = 500 * time.Millisecond
)

// lastOfItsConnection tells clients, once the shutdown has begun, to send the
// next request over another connection. One that is kept would be closed in
// the end, perhaps just when a request is on its way. Of HTTP/2, net/http says
// so by itself in the end, and what comes too late is not begun: to say it with
// each answer would only be another moment at which requests come too late.
func (s *service) lastOfItsConnection(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown lets requests in flight finish: readiness fails at once, after the
// delay no connection is accepted any more, and what is not done by the
// timeout is cut off. A second signal ends it at once.
func (s *service) shutdown(ctx context.Context, listener net.Listener, signals <-chan os.Signal) error {
	s.draining.Store(true)
	s.api.Drain()
	done := make(chan error, 1)
	go func() { done <- s.drain(ctx, listener) }()
	for {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				_ = s.http.Close()
				return fmt.Errorf("ended at once by a second signal (%v)", sig)
			}
		}
	}
}

func (s *service) drain(ctx context.Context, listener net.Listener) error {
	<-time.After(s.cfg.ShutdownDelay)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer cancel()
	if refuse(listener) == nil {
		awaitLast(ctx, listener)
	}
	over := make(chan struct{})
	defer close(over)
	go s.hush(ctx, over)
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.WarnContext(ctx, "requests were cut off", "afterMs", s.cfg.ShutdownTimeout.Milliseconds())
		return s.http.Close()
	}
	return err
}

// hush closes silent connections again and again until it is over, and ends
// those that have only now said that they speak HTTP/2.
func (s *service) hush(ctx context.Context, over <-chan struct{}) {
	grace := time.NewTicker(silentGrace)
	defer grace.Stop()
	for {
		select {
		case <-grace.C:
			s.conns.closeSilent()
			if s.cfg.HTTP2 {
				once, cancel := context.WithCancel(ctx)
				cancel()
				_ = s.http.Shutdown(once) // which tells each of them, and does not wait
			}
		case <-over:
			return
		}
	}
}

// awaitLast returns when the connections that have begun are accepted.
func awaitLast(ctx context.Context, listener net.Listener) {
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

// await waits for the background loops and the handlers of requests, so that
// nobody uses the store when it is closed. One that hangs does not hold the
// end: a store that is closed says that it is unavailable.
func (s *service) await(ctx context.Context, loops *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { loops.Wait(); s.running.wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(endGrace):
		s.log.WarnContext(ctx, "background work or requests did not stop in time")
	}
}
