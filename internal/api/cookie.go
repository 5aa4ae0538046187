package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"session-api/internal/schema"
)

// headerSessionToken offers a bearer client the token of its session signed with
// the present secret.
const headerSessionToken = "X-Session-Token"

// setCookie hands the session's token to a browser.
func (s *Server) setCookie(w http.ResponseWriter, now time.Time, sess *schema.Session) {
	h := w.Header()
	h["Set-Cookie"] = append(h["Set-Cookie"], s.sessionCookie(now, sess))
	issuedOf(w).noteCookie(keptCookie, sess)
	s.sent.put(s.sent.own(sess.ID), sess.ExpiresAt)
}

// issueCookie is setCookie for a new token. Cookies of other kinds, which the
// browser may have the old token in, go: they come first, because a client may
// take the host's own cookie and the domain's for one and the same.
func (s *Server) issueCookie(w http.ResponseWriter, cred *credential, now time.Time, sess *schema.Session) {
	if cred.cookies > 0 {
		addCookies(w, s.cookieTemplate.otherExpiries)
	}
	issuedOf(w).noteCookie(newCookie, sess)
	s.setCookie(w, now, sess)
}

// refreshCredential sends what the caller needs to keep its session: the cookie
// where the browser's may end before the session does, and the token anew where
// a retired secret has signed it. moved says that this request has moved the
// deadline. A token in its grace is not renewed.
//
// When the browser's cookie ends, it does not say. The service knows until when
// the cookie lives that it has sent last, see cookieLifetimes; where it does not,
// because another instance has sent it or it is long ago, it sends one.
func (s *Server) refreshCredential(w http.ResponseWriter, cred *credential, sess *schema.Session, moved bool) {
	switch {
	case sess.ID != cred.ID:
	case cred.bearer:
		if cred.Retired {
			w.Header()[headerSessionToken] = []string{s.keys.Load().sessions.Sign(sess.ID)}
		}
	case moved, cred.Retired, !s.sent.covers(s.sent.own(sess.ID), sess.ExpiresAt):
		s.setCookie(w, s.Now(), sess)
	}
}

// verifiedCookie is refreshCredential for an answer to a gateway, which may or may
// not pass it on: the values of Set-Cookie, or nil. So what is sent here does not count
// for the caller's own routes.
func (s *Server) verifiedCookie(cred *credential, now time.Time, sess *schema.Session, moved bool) []string {
	if cred.bearer || sess.ID != cred.ID {
		return nil
	}
	own := s.sent.own(sess.ID)
	if !moved && !cred.Retired && (s.sent.covers(own, sess.ExpiresAt) || s.sent.covers(own.verified(), sess.ExpiresAt)) {
		return nil
	}
	s.sent.put(own.verified(), sess.ExpiresAt)
	return []string{s.sessionCookie(now, sess)}
}

// isTransient reports whether the session's cookie ends with the browser.
func (s *Server) isTransient(sess *schema.Session) bool {
	remember, said := sess.Facts.Remember()
	if said {
		return !remember
	}
	return s.Cookie.Transient
}

// sessionCookie is the value of a Set-Cookie header with the session's token,
// for as long as the session has to live, or until the browser is closed. The token is
// percent-encoded as encodeURIComponent does it, which is what cookie-parser expects.
func (s *Server) sessionCookie(now time.Time, sess *schema.Session) string {
	var room [512]byte
	b := append(room[:0], s.cookieTemplate.beforeToken...)
	b = s.keys.Load().sessions.AppendEscaped(b, sess.ID)
	if s.isTransient(sess) {
		return string(append(b, s.cookieTemplate.transient...))
	}
	// Whole seconds, rounded up: a Max-Age of 0 would delete the cookie, and a
	// cookie that outlives its session by a moment opens nothing.
	life := max(time.Second, (sess.ExpiresAt.Sub(now) + time.Second - 1).Truncate(time.Second))
	// Browsers go by Max-Age. Java's CookieManager takes a cookie that has no
	// Expires for one of RFC 2965.
	b = append(b, s.cookieTemplate.beforeExpires...)
	b = now.Add(life+time.Second-1).UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, s.cookieTemplate.beforeMaxAge...)
	b = strconv.AppendInt(b, int64(life/time.Second), 10)
	return string(append(b, s.cookieTemplate.afterMaxAge...))
}

// cookieTemplate is the session cookie without what differs from one session to
// the next: net/http writes it once.
type cookieTemplate struct {
	beforeToken, beforeExpires, beforeMaxAge, afterMaxAge string
	// transient follows the token in a cookie that ends with the browser.
	transient string
	// expiries end the cookies of all kinds that the settings have or may have
	// had: for the host alone and for the domain, Partitioned and not.
	// otherExpiries spare the present kind.
	expiries, otherExpiries []string
}

func (s *Server) newCookieTemplate() (f cookieTemplate) {
	const token, maxAge = "token", "123456789"
	expires := time.Unix(1e9, 0).UTC()
	c := s.newCookie(token)
	f.transient = strings.TrimPrefix(c.String(), c.Name+"="+token)
	c.MaxAge, _ = strconv.Atoi(maxAge) // it is a number
	c.Expires = expires
	rest := strings.TrimPrefix(c.String(), c.Name+"="+token)
	f.beforeToken = c.Name + "="
	f.beforeExpires, rest, _ = strings.Cut(rest, expires.Format(http.TimeFormat))
	f.beforeMaxAge, f.afterMaxAge, _ = strings.Cut(rest, maxAge)
	s.addExpiries(&f)
	return f
}

// addExpiries fills in the cookies that end others.
func (s *Server) addExpiries(f *cookieTemplate) {
	for _, partitioned := range []bool{false, true} {
		for _, domain := range []string{"", s.Cookie.Domain} {
			c := s.newCookie("")
			present := c.Domain == domain && c.Partitioned == partitioned
			if partitioned && !c.Secure {
				continue // no browser has such a cookie
			}
			c.Domain, c.Partitioned = domain, partitioned
			c.MaxAge, c.Expires = -1, time.Unix(0, 0)
			line := c.String()
			if slices.Contains(f.expiries, line) {
				continue
			}
			f.expiries = append(f.expiries, line)
			if !present {
				f.otherExpiries = append(f.otherExpiries, line)
			}
		}
	}
}

// clearCookies makes a browser forget the token, whatever kind of cookie it has
// it in.
func (s *Server) clearCookies(w http.ResponseWriter) { addCookies(w, s.cookieTemplate.expiries) }

func addCookies(w http.ResponseWriter, lines []string) {
	for _, line := range lines {
		w.Header().Add("Set-Cookie", line)
	}
}

func (s *Server) newCookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: s.Cookie.Name, Value: value, Domain: s.Cookie.Domain, Path: "/", HttpOnly: true,
		Secure: s.Cookie.Secure, SameSite: s.Cookie.SameSite, Partitioned: s.Cookie.Partitioned,
	}
}
