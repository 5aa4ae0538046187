package api

import (
	"net/http"
	"slices"
	"strings"

	"session-api/internal/schema"
)

// autoCreates reports whether a request without a live session gets one. A caller with
// a bearer token does not, because the answer could not carry the new token. Nor does a
// request that the user may not have made, such as a prefetch.
func (s *Server) autoCreates(r *http.Request, cred *credential) bool {
	return s.AutoCreate && !cred.bearer && !isPrefetch(r) && s.isMeant(r)
}

// autoCreate stores a session that begins with the change, or an empty one where
// that is nil, and hands out its cookie.
func (s *Server) autoCreate(w http.ResponseWriter, r *http.Request, cred *credential, change schema.Change) (sess schema.Session, err error) {
	if s.limitCreation(w, r, cred) {
		return schema.Session{}, errRateLimited
	}
	s.observeVisitor(r, cred)
	now := s.Now()
	if change == nil {
		sess, err = s.Sessions.CreateUnasked(r.Context(), now, schema.DefaultNamespace)
	} else {
		sess, err = s.sessionsOf(cred).Create(r.Context(), now, schema.DefaultNamespace, cred.bounded(change), s.limitCreatedBytes(w, r, cred, allowUser(cred)))
	}
	if err == nil {
		s.issueCookie(w, cred, now, &sess)
	}
	return sess, err
}

// isMeant reports whether a browser sends the request for a script that can read
// the answer, or because its user goes there, as far as Fetch Metadata tells: an
// img of any page can name this service too. Pages of another site must be on
// the list of origins. Of browsers without Fetch Metadata the Origin tells, which
// they send with what a script of another origin asks for.
func (s *Server) isMeant(r *http.Request) bool {
	mode, site, origin := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case mode == "no-cors":
		return false
	case site == "" && (origin == "" || !isOtherOrigin(r, origin)):
		return true
	case site == "":
		return slices.Contains(s.AllowedOrigins, origin)
	case site != "cross-site":
		return true
	}
	return mode == "cors" && slices.Contains(s.AllowedOrigins, origin)
}

// isPrefetch reports whether a browser fetches ahead what its user may never go
// to, in today's header or in those that it replaced.
func isPrefetch(r *http.Request) bool {
	return hasPrefetch(r.Header["Sec-Purpose"]) || hasPrefetch(r.Header["Purpose"]) || hasPrefetch(r.Header["X-Moz"])
}

// hasPrefetch reports whether a header is prefetch, parameters such as prerender
// aside.
func hasPrefetch(values []string) bool {
	for _, value := range values {
		purpose, _, _ := strings.Cut(value, ";")
		if strings.EqualFold(strings.TrimSpace(purpose), "prefetch") {
			return true
		}
	}
	return false
}
