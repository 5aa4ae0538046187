package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
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
	if port == 0 {
		return errors.New("healthcheck: PORT=0 leaves open where the service listens")
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(reachable(host), strconv.Itoa(port)) + "/healthz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // straight, whatever proxy is set
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answers %s", url, resp.Status)
	}
	return nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(host string) string {
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil || !addr.IsUnspecified():
		return host
	case addr.Is4():
		return "127.0.0.1"
	}
	return "::1"
}
