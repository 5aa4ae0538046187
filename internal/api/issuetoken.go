package api

import (
	"encoding/json"
	"net/http"

	"session-api/internal/schema"
)

// wantsBearer reports whether a new token is to be in the body (?transport=bearer)
// and not in the cookie.
func wantsBearer(r *http.Request) (bool, error) {
	q, err := query(r)
	if err != nil {
		return false, err
	}
	switch transport, err := singleValue(q, "transport", "cookie"); {
	case err != nil:
		return false, err
	case transport == "bearer":
		return true, nil
	case transport == "cookie":
		return false, nil
	default:
		return false, &problem{codeInvalidQuery, "transport is cookie or bearer."}
	}
}

// allowBearerTransport refuses to put the token into a body where the caller's session lives
// in a cookie, with errTransportForbidden: a script could keep what it cannot read
// there.
func (s *Server) allowBearerTransport(r *http.Request, cred *credential) error {
	if cred.bearer {
		if cred.inCookieToo && isFromPage(r) {
			return errTransportForbidden
		}
		return nil
	}
	var room [maxOpeners]string
	for _, id := range cred.ids(room[:0]) {
		switch live, err := s.resolveID(r.Context(), id); {
		case err != nil:
			return err
		case live != "":
			return errTransportForbidden
		}
	}
	return nil
}

// answerWithToken answers with the document and hands its token to the caller: in the
// cookie, or as the document's last member.
func (s *Server) answerWithToken(w http.ResponseWriter, cred *credential, status int, sess *schema.Session, bearer bool) {
	if !bearer {
		s.issueCookie(w, cred, s.Now(), sess)
		writeSession(w, status, sess)
		return
	}
	withBuffer(func(b []byte) []byte {
		b = sess.AppendJSON(b)
		b = b[:len(b)-1]
		issuedOf(w).noteMembers(tokenMember, sess, len(b))
		b = s.appendTokenMember(b, sess)
		writeSessionHead(w, status, sess, len(b))
		_, _ = w.Write(b)
		return b
	})
}

// appendTokenMember ends a document, which lacks its last brace, with its token.
func (s *Server) appendTokenMember(b []byte, sess *schema.Session) []byte {
	b = append(b, `,"token":"`...)
	b = append(b, s.keys.Load().sessions.Sign(sess.ID)...) // nothing in a token needs escaping
	return append(b, `"}`...)
}

// issued holds the credentials of a session, in the answer to a service. It is empty
// for sessions that the caller's own routes do not look for.
type issuedToken struct {
	Token     string `json:"token,omitempty"`
	SetCookie string `json:"setCookie,omitempty"`
}

// issued returns the token of the session, and the cookie as the caller's
// own routes would set it.
func (s *Server) newIssuedToken(sess *schema.Session) issuedToken {
	if sess.Namespace != schema.DefaultNamespace {
		return issuedToken{}
	}
	return issuedToken{Token: s.keys.Load().sessions.Sign(sess.ID), SetCookie: s.sessionCookie(s.Now(), sess)}
}

// writeIssued answers a service with the document and with what opens it.
func writeIssued(w http.ResponseWriter, status int, sess *schema.Session, opens issuedToken) error {
	var failed error
	withBuffer(func(b []byte) []byte {
		b = append(b, `{"session":`...)
		b = sess.AppendJSON(b)
		issuedOf(w).noteMembers(issuedToOther, sess, len(b))
		if b, failed = appendIssued(b, opens); failed != nil {
			return b
		}
		writeSessionHead(w, status, sess, len(b))
		_, _ = w.Write(b) // a client that left gets nothing more
		return b
	})
	return failed
}

// appendIssued ends a body whose last member is the session with what opens it.
func appendIssued(b []byte, opens issuedToken) ([]byte, error) {
	members, err := json.Marshal(opens)
	if err != nil {
		return b, err
	}
	if len(members) > len(`{}`) {
		b = append(b, ',')
	}
	return append(b, members[1:]...), nil
}
