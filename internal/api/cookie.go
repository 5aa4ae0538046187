package api

import (
	"net/http"
	"strconv"
	"strings"
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
	var room [512]byte
	b := append(room[:0], s.cookieForm.beforeToken...)
	b = s.keys.Load().appendEscapedToken(b, sess.ID)
	b = append(b, s.cookieForm.beforeMaxAge...)
	// Whole seconds, rounded up: a Max-Age of 0 would delete the cookie, and a
	// cookie that outlives its session by a moment opens nothing.
	b = strconv.AppendInt(b, max(1, int64((sess.ExpiresAt.Sub(now)+time.Second-1)/time.Second)), 10)
	return string(append(b, s.cookieForm.afterMaxAge...))
}

// cookieForm is the session cookie without what differs from one session to
// the next: net/http writes it once.
type cookieForm struct{ beforeToken, beforeMaxAge, afterMaxAge string }

func (s *Server) newCookieForm() (f cookieForm) {
	const token, maxAge = "token", "123456789"
	c := s.newCookie(token)
	c.MaxAge, _ = strconv.Atoi(maxAge) // it is a number
	rest := strings.TrimPrefix(c.String(), c.Name+"="+token)
	f.beforeToken = c.Name + "="
	f.beforeMaxAge, f.afterMaxAge, _ = strings.Cut(rest, maxAge)
	return f
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
