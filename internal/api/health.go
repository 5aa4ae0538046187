package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"session-api/internal/store/backend"
)

// The paths of the checks of an orchestrator.
const (
	healthPath    = "/healthz"
	readinessPath = "/readyz"
)

// getHealth answers that the process lives. It does not ask the store.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{"status": "ok", "version": s.Version})
}

// readyTimeout is how long the store may take to answer a readiness check.
const readyTimeout = 2 * time.Second

// getReadiness answers whether requests should be sent here.
func (s *Server) getReadiness(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return errNotReady
	}
	if err := s.reachStore(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, map[string]string{"status": "ready"})
}

// reachStore asks the store for a sign of life. The error wraps
// backend.ErrUnavailable.
func (s *Server) reachStore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Sessions.Ping(ctx); err != nil {
		return fmt.Errorf("%w: asking the store: %w", backend.ErrUnavailable, err)
	}
	return nil
}
