package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"session-api/internal/jwt"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/token"
)

// formTypes are the media types of introspection, which RFC 7662 section 2.1 prescribes.
var formTypes = []string{"application/x-www-form-urlencoded"}

// maxIntrospection bounds the body of an introspection, in bytes: a token, each byte of it
// percent-encoded, and parameters that do not count.
const maxIntrospection = 4 * jwt.MaxLen

// inactive is the answer about tokens that open nothing, whatever the reason (RFC 7662
// section 2.2).
var inactive = []byte(`{"active":false}`)

// introspectToken answers whether a token, one for services or a session's, is of a live
// session, and its claims (RFC 7662). It is no use of the session.
func (s *Server) introspectToken(w http.ResponseWriter, r *http.Request) error {
	text, err := s.readIntrospection(w, r)
	if err != nil {
		return err
	}
	claims, err := s.introspect(r, text)
	if err != nil {
		return err
	}
	if claims == nil {
		writeBody(w, inactive)
		return nil
	}
	writeBody(w, append([]byte(`{"active":true,"token_type":"Bearer",`), claims[1:]...)) // every token has claims
	return nil
}

// readIntrospection returns the token that is asked about. Parameters that are not known
// do not count (RFC 7662 section 2.1).
func (s *Server) readIntrospection(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := s.readBodyUpTo(w, r, formTypes, maxIntrospection)
	if err == nil && len(body) == 0 {
		err = errNoBody
	}
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !utf8.Valid(body) {
		return "", &problem{codeBadRequest, "The form is not well-formed."}
	}
	values := form["token"]
	if len(values) != 1 || values[0] == "" {
		return "", &problem{codeBadRequest, "Send one token."}
	}
	return values[0], nil
}

// introspect returns the claims of a token as a JSON object; nil if it is not of a live
// session.
func (s *Server) introspect(r *http.Request, text string) ([]byte, error) {
	if token.HasPrefix(text) {
		opened := s.keys.Load().sessions.Open(text)
		sess, err := s.peekLive(r, opened.ID)
		if err != nil || sess == nil {
			return nil, err
		}
		return s.jwt.Describe(sess)
	}
	if s.jwt == nil || !strings.Contains(text, ".") {
		return nil, nil
	}
	opened, err := s.jwt.Open(r.Context(), s.Now(), text)
	if errors.Is(err, jwt.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sess, err := s.peekLive(r, opened.SessionID)
	if err != nil || sess == nil || !opened.Stands(sess) {
		return nil, err
	}
	return opened.Claims, nil
}

// peekLive returns the live session that an id leads to, nil for none.
func (s *Server) peekLive(r *http.Request, id string) (*schema.Session, error) {
	if !schema.ValidForeignID(id) {
		return nil, nil
	}
	sess, err := s.Sessions.Peek(r.Context(), s.Now(), defaultKey(id))
	switch {
	case errors.Is(err, backend.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	setLogSession(r, sess.ID)
	return &sess, nil
}
