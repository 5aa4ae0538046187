package api

import (
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
)

func (s *Server) newCreationLimiter() *httprate.RateLimiter {
	return httprate.NewRateLimiter(s.CreatePerMinute, time.Minute)
}

// limitCreation counts a creation, and reports whether it is one too many for
// its address. Services create for everybody, and are not counted.
func (s *Server) limitCreation(w http.ResponseWriter, r *http.Request, cred *credential) bool {
	return s.creations != nil && !cred.service && s.creations.OnLimit(w, r, httprate.CanonicalizeIP(clientIP(r)))
}

// clientIP is the peer's address, or the one that a trusted proxy names.
func clientIP(r *http.Request) string {
	if ip := middleware.GetClientIP(r.Context()); ip != "" {
		return ip
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
