package api

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/httprate"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// networkFactor is how much more than one address a whole IPv6 network (/48) may create.
// It contains 65,536 of the /64 networks that count as one address.
const networkFactor = 4

// creationLimits are the rate limits of session creation by address, which is a /64 in
// IPv6, and by network, which is a /48.
type creationLimits struct {
	// sessions and bytes are by address; nil for no limit.
	sessions, bytes         *httprate.RateLimiter
	siteSessions, siteBytes *httprate.RateLimiter
}

// newCreationLimits returns limits for the sessions and bytes of a minute; 0 for no
// limit.
func newCreationLimits(sessions, bytes int) creationLimits {
	quietly := httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"})
	var l creationLimits
	if sessions > 0 {
		l.sessions = httprate.NewRateLimiter(sessions, time.Minute)
		l.siteSessions = httprate.NewRateLimiter(networkFactor*sessions, time.Minute, quietly)
	}
	if bytes > 0 {
		l.bytes = httprate.NewRateLimiter(bytes, time.Minute, quietly)
		l.siteBytes = httprate.NewRateLimiter(networkFactor*bytes, time.Minute, quietly)
	}
	return l
}

// limitCreation counts a creation, and reports whether it is one too many for
// its address or its site. Services create for everybody, and are not counted.
func (s *Server) limitCreation(w http.ResponseWriter, r *http.Request, cred *credential) bool {
	return !cred.service && rateExceeded(w, r, s.proxies.Client(r), s.creations.sessions, s.creations.siteSessions)
}

// rateExceeded counts a request, with the increment that its context says, and reports
// whether it is over a limit. What is over the address's does not count for the
// site.
func rateExceeded(w http.ResponseWriter, r *http.Request, ip string, address, site *httprate.RateLimiter) bool {
	if address == nil {
		return false
	}
	if address.OnLimit(w, r, httprate.CanonicalizeIP(ip)) {
		return true
	}
	network, ok := networkOf(ip)
	return ok && site.OnLimit(w, r, network)
}

// networkOf returns the site of an IPv6 address; false for any other.
func networkOf(ip string) (string, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !addr.Is6() || addr.Is4In6() {
		return "", false
	}
	site, err := addr.WithZone("").Prefix(48)
	return site.String(), err == nil
}

// limitCreatedBytes returns allow, which also counts the bytes by which a visitor's
// session grows, and returns errTooMuch where these are too many for its address
// or its site. Sessions with a user do not count.
func (s *Server) limitCreatedBytes(w http.ResponseWriter, r *http.Request, cred *credential, allow store.Allow) store.Allow {
	if s.creations.bytes == nil || cred.service {
		return allow
	}
	counted := 0 // a change may be tried more than once
	return func(before, after schema.Sections) error {
		if allow != nil {
			if err := allow(before, after); err != nil {
				return err
			}
		}
		grows := sectionsSize(&after) - sectionsSize(&before)
		if after.User != nil || grows <= counted {
			return nil
		}
		r := r.WithContext(httprate.WithIncrement(r.Context(), grows-counted))
		counted = grows
		if rateExceeded(w, r, s.proxies.Client(r), s.creations.bytes, s.creations.siteBytes) {
			return errTooMuch
		}
		return nil
	}
}

// sectionsSize is what the free sections take.
func sectionsSize(s *schema.Sections) int {
	return len(s.Inputs) + len(s.APIConfig) + len(s.Results) + len(s.Meta)
}
