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

// writeSession answers with the document. It copies only the document's head.
func writeSession(w http.ResponseWriter, status int, sess *schema.Session) {
	length := len(sess.Doc)
	if length <= countedByServer {
		length = uncounted
	}
	writeSessionHead(w, status, sess, length)
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

const (
	// countedByServer is how long a body can be so that net/http sets its
	// Content-Length itself: what it buffers. That takes less than one more header.
	countedByServer = 2 << 10
	// uncounted is the length of such a body for writeSessionHead.
	uncounted = -1
)

// writeSessionHead begins an answer with the document, of that many bytes.
func writeSessionHead(w http.ResponseWriter, status int, sess *schema.Session, length int) {
	h := w.Header()
	h["Content-Type"] = contentTypeJSON
	if rw, ok := w.(*responseWriter); ok {
		rw.etag[0] = sess.ETag()
		h["Etag"] = rw.etag[:]
	} else {
		h["Etag"] = []string{sess.ETag()}
	}
	if length != uncounted {
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	w.WriteHeader(status)
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
