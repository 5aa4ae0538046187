package api

import (
	"net/http"
	"net/url"
	"time"

	"session-api/internal/schema"
)

// setCookie hands the session's token to a browser.
func (s *Server) setCookie(w http.ResponseWriter, now time.Time, sess *schema.Session) {
	w.Header().Add("Set-Cookie", s.sessionCookie(now, sess))
}

// sessionCookie is the value of a Set-Cookie header with the session's token,
// for as long as the session has to live. The token is percent-encoded as
// encodeURIComponent does it, which is what cookie-parser expects.
func (s *Server) sessionCookie(now time.Time, sess *schema.Session) string {
	c := s.newCookie(url.QueryEscape(s.keys.Load().token(sess.ID)))
	// Whole seconds, rounded up: a Max-Age of 0 would delete the cookie, and a
	// cookie that outlives its session by a moment opens nothing.
	c.MaxAge = max(1, int((sess.ExpiresAt.Sub(now)+time.Second-1)/time.Second))
	return c.String()
}

// clearCookie makes a browser forget the token.
func (s *Server) clearCookie(w http.ResponseWriter) {
	c := s.newCookie("")
	c.MaxAge = -1
	w.Header().Add("Set-Cookie", c.String())
}

func (s *Server) newCookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: s.Cookie.Name, Value: value, Domain: s.Cookie.Domain, Path: "/", HttpOnly: true,
		Secure: s.Cookie.Secure, SameSite: s.Cookie.SameSite, Partitioned: s.Cookie.Partitioned,
	}
}
