package api

import (
	"errors"
	"net/http"
	"strings"
)

// credential is what a request proves about its caller.
type credential struct {
	// id is the session that a valid token names, or empty: no token, or none
	// that verifies. Whether that session lives, only the store knows.
	id string
	// bearer: the caller uses the Authorization header, not cookies.
	bearer bool
	// service: the caller has a service token.
	service bool
	// open: there are no service tokens, so everybody may what a service may.
	open bool
}

// mayWriteUser reports whether the caller may say who a session belongs to.
func (c credential) mayWriteUser() bool { return c.service || c.open }

// credential reads the cookie and the Authorization header.
// Returns errConflictingCredentials where they contradict each other or
// themselves, errUnauthorized where Authorization holds nothing that could be
// a credential here, and no error for a token that merely does not verify.
func (s *Server) credential(r *http.Request) (credential, error) {
	keys := s.keys.Load()
	c := credential{open: len(keys.service) == 0}

	cookie, hasCookie, err := s.cookieToken(r)
	if err != nil {
		return c, err
	}
	bearer, hasBearer, err := bearerToken(r)
	if err != nil {
		return c, err
	}
	if hasBearer && !looksLikeToken(bearer) {
		if !keys.isService(bearer) {
			return c, errUnauthorized
		}
		c.service, hasBearer = true, false
	}

	switch {
	case hasBearer:
		c.bearer = true
		c.id = keys.open(bearer)
		if hasCookie {
			// Both may be sent, as some generated clients do, if they agree.
			if id := keys.open(cookie); id != c.id || (id == "" && cookie != bearer) {
				return c, errConflictingCredentials
			}
		}
	case hasCookie:
		c.id = keys.open(cookie)
	}
	return c, nil
}

// cookieToken returns the value of the session cookie. The same name twice is
// fine only with the same value.
func (s *Server) cookieToken(r *http.Request) (value string, ok bool, err error) {
	if value, ok := plainCookie(r.Header, s.Cookie.Name); ok {
		return value, true, nil
	}
	for i, c := range r.CookiesNamed(s.Cookie.Name) {
		v := c.Value
		if c.Quoted {
			v = `"` + v + `"` // a token has no quotes: not a spelling of it
		}
		if i > 0 && v != value {
			return "", false, errConflictingCredentials
		}
		value, ok = v, true
	}
	return value, ok, nil
}

// bearerToken returns the token of the Authorization header (RFC 6750 section
// 2.1; the scheme's case does not matter, RFC 9110 section 11.1).
func bearerToken(r *http.Request) (token string, ok bool, err error) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
	default:
		return "", false, errRepeatedAuthorization
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false, errUnauthorized
	}
	return token, true, nil
}

// requireService refuses callers without a service token. With none
// configured the routes behind it are open: the settings allow that in
// development alone.
func (s *Server) requireService(r *http.Request) error {
	keys := s.keys.Load()
	if len(keys.service) == 0 {
		return nil
	}
	token, ok, err := bearerToken(r)
	if errors.Is(err, errRepeatedAuthorization) {
		return err
	}
	if !ok || !keys.isService(token) {
		return errNoService
	}
	return nil
}
