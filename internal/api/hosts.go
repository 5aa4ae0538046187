package api

import (
	"net/http"
	"net/netip"
	"strings"

	"session-api/internal/token"
)

// hosts are the names that the service goes by, beside those of this machine.
type hosts struct {
	names    map[string]bool
	suffixes []string // of *.example.com, ".example.com"
	// always: the names are a setting, and count with service tokens, too.
	always bool
}

// newHosts returns the hosts of the settings; local is where the service listens.
func newHosts(allowed []string, local string) hosts {
	h := hosts{names: map[string]bool{}, always: len(allowed) > 0}
	if local != "" {
		h.names[strings.ToLower(local)] = true
	}
	for _, name := range allowed {
		name = strings.ToLower(name)
		if suffix, ok := strings.CutPrefix(name, "*"); ok {
			h.suffixes = append(h.suffixes, suffix)
		} else {
			h.names[name] = true
		}
	}
	return h
}

// has reports whether a Host header names one of the hosts or this machine.
func (h *hosts) has(host string) bool {
	name := namedHost(host)
	if isLoopback(name) || h.names[name] {
		return true
	}
	for _, suffix := range h.suffixes {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// namedHost returns the host of a Host header (RFC 9110 section 7.2) in lower case,
// without port, brackets and the dot that ends an absolute name.
func namedHost(value string) string {
	if rest, ok := strings.CutPrefix(value, "["); ok {
		name, _, _ := strings.Cut(rest, "]")
		return strings.ToLower(name)
	}
	if at := strings.LastIndexByte(value, ':'); at >= 0 {
		value = value[:at]
	}
	return strings.ToLower(strings.TrimSuffix(value, "."))
}

// isLoopback reports whether a name or address is this machine's wherever it is
// looked up (RFC 6761 section 6.3).
func isLoopback(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkHost refuses requests for names that the service does not go by, with
// errMisdirectedRequest: where the service routes are open, and wherever names are
// configured. A page may have a name of its own point here (DNS rebinding), and is
// of the same origin as what it reads then. Verify, which answers gateways in four
// ways only, does not come by here; probes, Prometheus and services that verify JWTs go by
// address or by names of their own network.
func (s *Server) checkHost(w http.ResponseWriter, r *http.Request) error {
	if !s.hosts.always && s.keys.Load().services.Len() > 0 {
		return nil
	}
	if r.Host == "" || s.hosts.has(r.Host) { // HTTP/1.0 has none, and no browser
		return nil
	}
	switch r.URL.Path {
	case healthPath, readinessPath, "/metrics", keySetPath:
		return nil
	}
	s.logRefusedHost(w, r)
	if s.hosts.always {
		return errUnlistedHost
	}
	return errMisdirectedRequest
}

// maxShownHost is how much of a Host header is logged, in bytes.
const maxShownHost = 200

// logRefusedHost logs that a host was refused: its user sees a page that does not work.
func (s *Server) logRefusedHost(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if len(host) > maxShownHost {
		host = host[:maxShownHost] + "…"
	}
	if s.hints.allow("host\x00"+host, s.Now()) {
		s.Logger.WarnContext(r.Context(), "request with an unknown Host: add it to ALLOWED_HOSTS if it is a name of the service",
			"host", token.Redact(host), "method", r.Method, "requestId", w.Header().Get(headerRequestID))
	}
}

// requireAllowedHost is the middleware of checkHost.
func (s *Server) requireAllowedHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.checkHost(w, r); err != nil {
			s.writeProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
