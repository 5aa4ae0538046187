package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// serviceURL is where a client on this machine finds the service that an
// environment describes.
func serviceURL(host string, port int) (string, error) {
	if port == 0 {
		return "", errors.New("with PORT=0, the port of the service is not known")
	}
	return "http://" + net.JoinHostPort(reachable(host), strconv.Itoa(port)), nil
}

// get asks a running service, straight, whatever proxy is set. token is a service
// token, or empty.
func get(ctx context.Context, url, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
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
