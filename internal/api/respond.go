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

// writeSession answers with the document.
func writeSession(w http.ResponseWriter, status int, sess *schema.Session) {
	writeSessionHead(w, status, sess, len(sess.Doc))
	withBuffer(func(b []byte) []byte {
		b = sess.AppendJSON(b)
		_, _ = w.Write(b) // a client that left gets nothing more
		return b
	})
}

// writeSessionHead begins an answer with the document, of that many bytes.
func writeSessionHead(w http.ResponseWriter, status int, sess *schema.Session, length int) {
	h := w.Header()
	h["Content-Type"] = contentTypeJSON
	h["Etag"] = []string{sess.ETag()}
	h["Content-Length"] = []string{strconv.Itoa(length)}
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

// issue answers with the document and hands its token to the caller: in the
// cookie, or as the document's last member.
func (s *Server) issue(w http.ResponseWriter, status int, sess *schema.Session, bearer bool) {
	if !bearer {
		s.setCookie(w, s.Now(), sess)
		writeSession(w, status, sess)
		return
	}
	withBuffer(func(b []byte) []byte {
		b = sess.AppendJSON(b)
		b = append(b[:len(b)-1], `,"token":"`...)
		b = append(b, s.keys.Load().token(sess.ID)...) // nothing in a token needs escaping
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
	h := w.Header()
	h["Content-Type"] = contentTypeJSON
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a client that left gets nothing more
	return nil
}
