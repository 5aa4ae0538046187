package api

import (
	"net/http"
	"time"

	"github.com/go-chi/httprate"
)

func (s *Server) newCreationLimiter() *httprate.RateLimiter {
	return httprate.NewRateLimiter(s.CreatePerMinute, time.Minute)
}

// limitCreation counts a creation, and reports whether it is one too many for
// its address. Services create for everybody, and are not counted.
func (s *Server) limitCreation(w http.ResponseWriter, r *http.Request, cred *credential) bool {
	return s.creations != nil && !cred.service && s.creations.OnLimit(w, r, httprate.CanonicalizeIP(s.clientIP(r)))
}
