package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"session-api/internal/schema"
)

// Header values that never change, shared by all responses.
var (
	contentTypeJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	nosniff         = []string{"nosniff"}
	ownLocation     = []string{"/api/session"}
)

// buffers are for bodies that are put together before they are written.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxPooled keeps one large document from holding its buffer for ever.
const maxPooled = 64 << 10

func withBuffer(f func(b []byte) []byte) {
	p := buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	if b := f((*p)[:0]); cap(b) <= maxPooled {
		*p = b
	}
	buffers.Put(p)
}

// writeSession answers with the document, most of which is not copied for that.
func writeSession(w http.ResponseWriter, status int, sess *schema.Session) {
	writeSessionHead(w, status, sess, len(sess.Doc))
	withBuffer(func(b []byte) []byte {
		begun, rest := sess.AppendHead(b)
		_, _ = w.Write(begun) // a client that left gets nothing more
		_, _ = w.Write(rest)
		return begun
	})
}

// writeUnlessKnown answers a read: with the document, or with 304 where the
// request's If-None-Match has it already.
func writeUnlessKnown(w http.ResponseWriter, sess *schema.Session, known etags) {
	if known.present && known.matchWeak(sess.ETag()) {
		w.Header()["Etag"] = []string{sess.ETag()}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeSession(w, http.StatusOK, sess)
}

// writeSessionHead begins an answer with the document, of that many bytes.
func writeSessionHead(w http.ResponseWriter, status int, sess *schema.Session, length int) {
	h := w.Header()
	values := []string{sess.ETag(), strconv.Itoa(length)}
	h["Content-Type"] = contentTypeJSON
	h["Etag"] = values[0:1:1]
	h["Content-Length"] = values[1:2:2]
	w.WriteHeader(status)
}

// wantsBearer reports whether a new token is to be in the body (?transport=bearer)
// and not in the cookie.
func wantsBearer(r *http.Request) (bool, error) {
	q, err := query(r)
	if err != nil {
		return false, err
	}
	switch transport, err := one(q, "transport", "cookie"); {
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

// allowToken refuses to put the token into a body where the caller's session lives
// in a cookie, with errTransportForbidden: a script could keep what it cannot read
// there.
func (s *Server) allowToken(r *http.Request, cred *credential) error {
	if cred.bearer {
		if cred.inCookieToo && isFromPage(r) {
			return errTransportForbidden
		}
		return nil
	}
	var room [maxOpeners]string
	for _, id := range cred.ids(room[:0]) {
		switch live, err := s.leadsTo(r.Context(), id); {
		case err != nil:
			return err
		case live != "":
			return errTransportForbidden
		}
	}
	return nil
}

// issue answers with the document and hands its token to the caller: in the
// cookie, or as the document's last member.
func (s *Server) issue(w http.ResponseWriter, cred *credential, status int, sess *schema.Session, bearer bool) {
	if !bearer {
		s.issueCookie(w, cred, s.Now(), sess)
		writeSession(w, status, sess)
		return
	}
	withBuffer(func(b []byte) []byte {
		b = sess.AppendJSON(b)
		b = append(b[:len(b)-1], `,"token":"`...)
		b = append(b, s.keys.Load().sessions.Sign(sess.ID)...) // nothing in a token needs escaping
		b = append(b, `"}`...)
		writeSessionHead(w, status, sess, len(b))
		_, _ = w.Write(b)
		return b
	})
}

// writeJSON answers 200 with v, which is marshalled before the status is written.
func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeBody(w, body)
	return nil
}

// writeBody answers 200 with a body of JSON.
func writeBody(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentTypeJSON
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a client that left gets nothing more
}

// handOver is what opens a session, in the answer to a service. It is empty
// for sessions that the caller's own routes do not look for.
type handOver struct {
	Token     string `json:"token,omitempty"`
	SetCookie string `json:"setCookie,omitempty"`
}

// handOver returns the token of the session, and the cookie as the caller's
// own routes would set it.
func (s *Server) handOver(sess *schema.Session) handOver {
	if sess.Namespace != schema.DefaultNamespace {
		return handOver{}
	}
	return handOver{Token: s.keys.Load().sessions.Sign(sess.ID), SetCookie: s.sessionCookie(s.Now(), sess)}
}

// writeHandOver answers a service with the document and with what opens it.
func writeHandOver(w http.ResponseWriter, status int, sess *schema.Session, opens handOver) error {
	members, err := json.Marshal(opens)
	if err != nil {
		return err
	}
	withBuffer(func(b []byte) []byte {
		b = append(b, `{"session":`...)
		b = sess.AppendJSON(b)
		if len(members) > len(`{}`) {
			b = append(b, ',')
		}
		b = append(b, members[1:]...)
		writeSessionHead(w, status, sess, len(b))
		_, _ = w.Write(b) // a client that left gets nothing more
		return b
	})
	return nil
}
