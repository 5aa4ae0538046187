package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"session-api/internal/config"
)

// healthTimeout bounds a health check. It is shorter than what container
// runtimes give one.
const healthTimeout = 2 * time.Second

// healthcheck asks the service that this environment describes whether it is
// alive.
func healthcheck(ctx context.Context, environ map[string]string) error {
	host, port, err := config.Listen(environ)
	if err != nil {
		return err
	}
	url, err := serviceURL(host, port)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	url += "/healthz"
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	resp, err := get(ctx, url, "")
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answers %s", url, resp.Status)
	}
	return nil
}
