package api

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"session-api/internal/admission"
)

// responseWriter is the one http.ResponseWriter of a request, apart from the server's. It records the status and
// the size for metrics and the access log, holds the permits that a large body and
// a large answer take of their semaphores, and sends no body where there is none.
type responseWriter struct {
	http.ResponseWriter
	s *Server
	r *http.Request

	status int // 0 before it is known
	bytes  int
	etag   [1]string // the header's value

	body, answer *admission.Permit
	buffer       *bytes.Buffer // of the body; nil for none
	// received: the buffer has the whole body.
	received bool
	// held, where set, gets the answer in place of the client.
	held *heldAnswer
	// refusing: a problem is sent in place of an answer for which there is no room.
	// refused: it was, and what is written still is dropped.
	refusing, refused bool
}

// Unwrap lets a http.ResponseController find the writer beneath.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// release returns what the request held while it was handled.
func (w *responseWriter) release() {
	w.body.Release()
	w.answer.Release()
	w.body, w.answer = nil, nil
	if w.buffer != nil && w.buffer.Cap() <= maxPooled {
		w.buffer.Reset()
		bodyBuffers.Put(w.buffer)
	}
	w.buffer = nil
}

// hold keeps what is written from the client until unhold.
func (w *responseWriter) hold() *heldAnswer {
	w.held = &heldAnswer{ResponseWriter: w.ResponseWriter}
	w.ResponseWriter = w.held
	return w.held
}

// unhold ends hold.
func (w *responseWriter) unhold() {
	if w.held != nil {
		w.ResponseWriter, w.held = w.held.ResponseWriter, nil
		w.status, w.bytes, w.refused = 0, 0, false
	}
}

// send sends an answer that was held.
func (w *responseWriter) send(a *heldAnswer) {
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that left gets nothing more
}

// bodyBuffers are for bodies. A change that is read from one may refer to its
// bytes until the request is answered; no document does.
var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// bodyBuffer returns a buffer for the body, valid until release.
func (w *responseWriter) bodyBuffer() *bytes.Buffer {
	w.buffer = bodyBuffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	return w.buffer
}

// admitBody waits for room for a body of that size.
func (w *responseWriter) admitBody(bytes int64) (err error) {
	w.body, err = w.s.bodies.Acquire(w.r.Context(), w.s.admissionClient(w.r), bytes, func() {
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now())
	})
	return overloaded(err)
}

// WriteHeader implements http.ResponseWriter. The body is done with by now.
func (w *responseWriter) WriteHeader(status int) {
	w.body.Release()
	w.body = nil
	if !w.admitAnswer() {
		return
	}
	if w.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// admitAnswer waits for room for an answer of the length in its header, if it is a
// large one. Where there is none in time, it sends a problem and returns false;
// what a change has changed stays changed.
func (w *responseWriter) admitAnswer() bool {
	if w.answer != nil || w.refusing || w.r.Method == http.MethodHead {
		return true
	}
	length := w.Header()["Content-Length"]
	if len(length) != 1 || len(length[0]) < len("16384") {
		return true
	}
	bytes, err := strconv.ParseInt(length[0], 10, 64)
	if err != nil || bytes <= smallBody {
		return true
	}
	w.answer, err = w.s.answers.Acquire(w.r.Context(), "", bytes, func() {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now())
	})
	if err == nil {
		return true
	}
	w.refusing = true
	w.Header().Del("ETag")
	w.s.writeProblem(w, w.r, overloaded(err))
	w.refused = true
	return false
}

// Write implements http.ResponseWriter. An answer to HEAD has no body.
func (w *responseWriter) Write(b []byte) (int, error) {
	if w.refused || w.r.Method == http.MethodHead {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.recordWritten(n)
	return n, err
}

// WriteString implements io.StringWriter.
func (w *responseWriter) WriteString(text string) (int, error) {
	if w.refused || w.r.Method == http.MethodHead {
		return len(text), nil
	}
	n, err := io.WriteString(w.ResponseWriter, text)
	w.recordWritten(n)
	return n, err
}

// recordWritten records n bytes of the body.
func (w *responseWriter) recordWritten(n int) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.bytes += n
}
