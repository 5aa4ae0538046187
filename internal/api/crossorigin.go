package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"session-api/internal/token"
)

type middlewareFunc = func(http.Handler) http.Handler

// crossOrigin returns the middlewares that decide about pages of other sites.
// One list of origins serves both: share is CORS, which tells browsers whose
// pages may read, and protect refuses whose pages may not write.
func (s *Server) crossOrigin() (share, protect middlewareFunc, err error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range s.AllowedOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, nil, fmt.Errorf("api: allowed origins: %w", err)
		}
	}
	sharing, err := s.newCORSPolicy()
	if err != nil {
		return nil, nil, err
	}
	return sharing.middleware, s.protect(protection), nil
}

// protect refuses unsafe requests that a browser sends for another site's
// page. Requests with a bearer token are past that: a page cannot add one
// without CORS having allowed it. What browsers add by themselves, such as the
// credentials of Basic and Negotiate, is no such sign.
func (s *Server) protect(protection *http.CrossOriginProtection) middlewareFunc {
	return middlewareOf(s, func(r *http.Request) error {
		if isSafe(r.Method) || claimsBearer(r) {
			return nil
		}
		if protection.Check(r) != nil {
			return errForbiddenOrigin
		}
		return nil
	})
}

// claimsBearer reports whether the Authorization header says that it holds a
// bearer token.
func claimsBearer(r *http.Request) bool {
	const scheme = "bearer "
	values := r.Header["Authorization"]
	return len(values) == 1 && len(values[0]) > len(scheme) && strings.EqualFold(values[0][:len(scheme)], scheme)
}

// isOtherOrigin reports whether a browser sent the request for a page that is
// not of the service's own origin. Browsers say so; of older ones the host
// tells, as http.CrossOriginProtection has it.
func isOtherOrigin(r *http.Request, origin string) bool {
	switch site := r.Header["Sec-Fetch-Site"]; {
	case len(site) == 0:
		u, err := url.Parse(origin)
		return err != nil || u.Host != r.Host
	default:
		return site[0] != "same-origin" && site[0] != "none"
	}
}

// isFromPage reports whether a browser sent the request: others have no Origin, and
// no Fetch Metadata. A script cannot leave both out.
func isFromPage(r *http.Request) bool {
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return false
}

// maxShownOrigin is how much of an origin is logged, in bytes.
const maxShownOrigin = 200

// logUnlistedOrigin logs that a page of an origin that is not listed used the
// service: what its browser says of that does not name the setting.
func (s *Server) logUnlistedOrigin(w http.ResponseWriter, r *http.Request, origin string) {
	if len(origin) > maxShownOrigin {
		origin = origin[:maxShownOrigin] + "…"
	}
	if s.hints.allow(origin, s.Now()) {
		s.Logger.WarnContext(r.Context(), "request of a page whose origin is not in ALLOWED_ORIGINS: it can neither read responses nor change a session",
			"origin", token.Redact(origin), "method", r.Method, "requestId", w.Header().Get(headerRequestID))
	}
}

// logRefusedOrigin logs why the preflight of a listed origin was refused.
func (s *Server) logRefusedOrigin(w http.ResponseWriter, r *http.Request, origin string, refusal *problem) {
	if s.hints.allow(origin+"\x00"+refusal.detail, s.Now()) {
		s.Logger.WarnContext(r.Context(), "preflight refused", "origin", origin, "reason", token.Redact(refusal.detail),
			"requestId", w.Header().Get(headerRequestID))
	}
}

// quotedList shows names that a client sent.
func quotedList(names []string) string {
	const most = 5
	var shown []string
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, shownName(name))
	}
	if len(names) > most {
		shown = append(shown, fmt.Sprintf("%d more", len(names)-most))
	}
	return enumerate(slices.Compact(shown))
}
