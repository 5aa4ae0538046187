package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

type middlewareFunc = func(http.Handler) http.Handler

// crossOrigin returns the middlewares that decide about pages of other sites.
// One list of origins serves both: share is CORS, which tells browsers whose
// pages may read (nil with no origins), and protect refuses whose pages may
// not write.
func (s *Server) crossOrigin() (share, protect middlewareFunc, err error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range s.AllowedOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, nil, fmt.Errorf("api: allowed origins: %w", err)
		}
	}
	if len(s.AllowedOrigins) > 0 {
		share = cors.New(cors.Options{
			AllowOriginFunc:  func(origin string) bool { return slices.Contains(s.AllowedOrigins, origin) },
			AllowCredentials: true,
			AllowedMethods:   []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
			AllowedHeaders:   []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", headerRequestID},
			ExposedHeaders: []string{
				"ETag", "Location", "Retry-After", headerRequestID,
				"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
				headerSessionToken, // of a page that has the token already
			},
			MaxAge: int((10 * time.Minute).Seconds()),
		}).Handler
	}
	return share, s.protect(protection), nil
}

// protect refuses unsafe requests that a browser sends for another site's
// page. Requests with an Authorization header are past that: a page cannot add
// one without CORS having allowed it.
func (s *Server) protect(protection *http.CrossOriginProtection) middlewareFunc {
	return guard(s, func(r *http.Request) error {
		if len(r.Header["Authorization"]) == 0 {
			if err := protection.Check(r); err != nil {
				return &problem{codeForbiddenOrigin, "Requests from pages of this origin are not allowed to change a session. See ALLOWED_ORIGINS."}
			}
		}
		return nil
	})
}
