package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"session-api/internal/store/backend"
	"session-api/internal/token"
)

// credential is the caller's credential, as a request proves it.
type credential struct {
	// Opened names the session of a valid token; its ID is empty where no token
	// came, or none that verifies. Whether that session lives, only the store
	// knows.
	token.Opened
	// more are the sessions of further session cookies with valid tokens. Hardly any
	// request has them.
	more []token.Opened
	// cookies is the number of session cookies, valid or not.
	cookies int
	// bearer reports that the caller uses the Authorization header, not cookies.
	bearer bool
	// inCookieToo reports that a cookie opens the session of the bearer token as well.
	inCookieToo bool
	// service reports that the caller has a service token, which is caller where it came
	// beside the credential of a session.
	service bool
	caller  *token.Service
	// open reports that there are no service tokens, so that every caller has the rights
	// of a service.
	open bool
}

// maxOpeners bounds the sessions that the cookies of one request can name, since each
// costs a lookup in the store. Further cookies are ignored.
const maxOpeners = 8

// mayWriteUser reports whether the caller may set the user of a session.
func (c *credential) mayWriteUser() bool { return c.service || c.open }

// missing returns the error for a request without a session.
func (c *credential) missing() error {
	if c.bearer || c.cookies > 0 {
		return errUnauthorized
	}
	return errNoCredential
}

// ids appends the ids of all sessions that the request's tokens name.
func (c *credential) ids(room []string) []string {
	if c.ID == "" {
		return nil
	}
	room = append(room, c.ID)
	for _, o := range c.more {
		room = append(room, o.ID)
	}
	return room
}

// credential reads the cookies and the Authorization header, and finds the one
// session that they open. Cookies of the name that do not verify, or lead to
// nothing, are ignored beside one that opens a session. Returns
// errTwinCookies where two open different ones, and expires them;
// errConflictingCredentials where a bearer token opens another session than the
// cookie, or none; errUnauthorized where Authorization holds nothing that could
// be a credential here; and no error for a token that merely opens nothing.
func (s *Server) credential(w http.ResponseWriter, r *http.Request) (credential, error) {
	c, err := s.readOwnCredential(r)
	if err == nil {
		err = s.resolveCredential(r.Context(), &c)
	}
	if errors.Is(err, errTwinCookies) {
		s.clearCookies(w)
	}
	return c, err
}

// mustCredential is credential for routes that do nothing without a session.
func (s *Server) mustCredential(w http.ResponseWriter, r *http.Request) (credential, error) {
	cred, err := s.credential(w, r)
	if err == nil && cred.ID == "" {
		err = cred.missing()
	}
	return cred, err
}

// readOwnCredential is readCredential for the caller's own routes, where a service token
// has to allow what it is sent for.
func (s *Server) readOwnCredential(r *http.Request) (credential, error) {
	c, err := s.readCredential(r)
	if err == nil {
		err = permitOwn(c.caller)
		s.recordForbidden(r, c.caller, err)
	}
	return c, err
}

// readCredential is credential without a question to the store: of several
// cookies that verify it takes the first, and the others are more.
func (s *Server) readCredential(r *http.Request) (credential, error) {
	k := s.keys.Load()
	c := credential{open: k.services.Len() == 0}
	bearer, hasBearer, err := bearerToken(r)
	if err != nil {
		return c, err
	}
	if hasBearer && !token.HasPrefix(bearer) {
		if c.caller = s.serviceToken(r, k, bearer); c.caller == nil {
			return c, errUnauthorized
		}
		c.service, hasBearer = true, false
	}
	if hasBearer {
		c.bearer = true
		c.Opened = k.sessions.Open(bearer)
	}
	s.readCookies(r, k, &c)
	return c, nil
}

// readCookies adds what the cookies of the name open.
func (s *Server) readCookies(r *http.Request, k *keys, c *credential) {
	if value, ok := fastCookie(r.Header, s.Cookie.Name); ok {
		c.cookies = 1
		s.addCookie(r, k, c, value)
		return
	}
	for value := range cookieValues(r.Header, s.Cookie.Name) {
		c.cookies++
		s.addCookie(r, k, c, value)
		if len(c.more) == maxOpeners-1 {
			return
		}
	}
}

// addCookie adds what one cookie opens, if anything.
func (s *Server) addCookie(r *http.Request, k *keys, c *credential, value string) {
	o := k.sessions.Open(value)
	switch {
	case o.ID == "":
		s.foreign.note(s, r, value)
	case o.ID == c.ID && c.bearer:
		c.inCookieToo = true
	case o.ID == c.ID, slices.ContainsFunc(c.more, func(m token.Opened) bool { return m.ID == o.ID }):
	case c.ID == "" && !c.bearer:
		c.Opened = o
	default:
		c.more = append(c.more, o)
	}
}

// resolveCredential asks the store which of several tokens counts.
func (s *Server) resolveCredential(ctx context.Context, c *credential) error {
	switch {
	case len(c.more) == 0:
		return nil
	case c.bearer:
		return s.resolveBearer(ctx, c)
	}
	var found token.Opened
	var live string // the id of what found leads to
	for _, o := range append([]token.Opened{c.Opened}, c.more...) {
		id, err := s.resolveID(ctx, o.ID)
		switch {
		case err != nil:
			return err
		case id == "":
		case live != "" && live != id:
			return errTwinCookies
		case live == "" || o.ID == id: // the session's own rather than one in its grace
			found, live = o, id
		}
	}
	if live != "" {
		c.Opened = found
	}
	c.more = nil
	return nil
}

// resolveBearer holds cookies against the bearer token that they came with.
// Both may be sent, as some generated clients do, if they agree.
func (s *Server) resolveBearer(ctx context.Context, c *credential) error {
	for _, o := range c.more {
		id, err := s.resolveID(ctx, o.ID)
		if err != nil {
			return err
		}
		if id == "" {
			continue
		}
		own := ""
		if c.ID != "" {
			if own, err = s.resolveID(ctx, c.ID); err != nil {
				return err
			}
		}
		if id != own {
			return errConflictingCredentials
		}
		c.inCookieToo = true
	}
	c.more = nil
	return nil
}

// resolveID returns the id of the live session that an id opens, empty for none.
func (s *Server) resolveID(ctx context.Context, id string) (string, error) {
	sess, err := s.Sessions.Peek(ctx, s.Now(), defaultKey(id))
	if errors.Is(err, backend.ErrNotFound) {
		return "", nil
	}
	return sess.ID, err
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

// requireService refuses callers without a valid service token. With none
// configured the routes behind it are open: the settings allow that in
// development alone. What the token allows, the endpoint asks.
func (s *Server) requireService(r *http.Request) error {
	k := s.keys.Load()
	if k.services.Len() == 0 {
		return nil
	}
	token, ok, err := bearerToken(r)
	if errors.Is(err, errRepeatedAuthorization) {
		return err
	}
	if !ok {
		return errNoService
	}
	if s.serviceToken(r, k, token) == nil {
		return errNoService
	}
	return nil
}
