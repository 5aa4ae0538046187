package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// endGrace is how long a shutdown waits for background work that was told to
// stop, and for requests that were cut off.
const endGrace = 500 * time.Millisecond

// shutdown fails readiness at once and lets the server finish what is in
// flight. A second signal changes nothing, because init systems and
// orchestrators send one more while they wait; a third ends it at once.
func (s *service) shutdown(ctx context.Context, signals <-chan os.Signal) error {
	s.http.DisableKeepAlives()
	s.api.Drain()
	done := make(chan error, 1)
	go func() { done <- s.http.Shutdown(ctx) }()
	for more := 0; ; {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				continue
			}
			if more++; more == 1 {
				s.log.InfoContext(ctx, "still shutting down; one more signal ends it at once", "signal", sig.String())
				continue
			}
			_ = s.http.Close()
			return fmt.Errorf("ended at once by a third signal (%v)", sig)
		}
	}
}

// await waits for the background loops and the handlers of requests, so that
// nobody uses the store when it is closed. One that hangs does not hold the
// end: a store that is closed says that it is unavailable.
func (s *service) await(ctx context.Context, loops *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { loops.Wait(); s.http.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(endGrace):
		s.log.WarnContext(ctx, "background work or requests did not stop in time")
	}
}
