package api

import (
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5/middleware"
)

const headerRequestID = "X-Request-Id"

// standardHeaders sets what every response carries, and closes connections
// whose requests could leave bytes behind that look like another request.
func (s *Server) standardHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = nosniff
		h[headerRequestID] = requestID(r)
		switch {
		case len(r.TransferEncoding) > 0:
			// It may have carried a Content-Length as well, which net/http drops
			// before anybody sees it (RFC 9112 section 6.1 asks to close then).
			h.Set("Connection", "close")
		case r.ContentLength != 0 && !readsBody(r.Method):
			// An announced body that never comes, as in the requests of nginx's
			// auth_request, would hold up the answer until the read timeout, and
			// after it the connection's end. One that does come is drained.
			h.Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout)) // where it is not to be had, the read timeout remains
		}
		next.ServeHTTP(w, r)
	})
}

// drainTimeout is how long a body that nobody asked for may take to arrive.
const drainTimeout = 500 * time.Millisecond

// readsBody reports whether any route reads a body with the method.
func readsBody(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// maxRequestID bounds a request id that the client brings.
const maxRequestID = 128

// requestID returns the client's X-Request-Id where it is harmless to repeat,
// and a new one otherwise, as a header value.
func requestID(r *http.Request) []string {
	if v := r.Header[headerRequestID]; len(v) == 1 && harmlessID(v[0]) {
		return v
	}
	return []string{rand.Text()}
}

func harmlessID(id string) bool {
	if id == "" || len(id) > maxRequestID || looksLikeToken(id) {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

// recoverPanic turns a panic into a problem and a log line with its stack.
func (s *Server) recoverPanic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch rec := recover(); rec {
			case nil:
			case http.ErrAbortHandler:
				panic(rec)
			default:
				s.Logger.ErrorContext(r.Context(), "panic", "value", rec, "stack", string(debug.Stack()),
					"requestId", w.Header().Get(headerRequestID))
				if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
					panic(http.ErrAbortHandler) // half a response is sent: cut it off
				}
				s.writeProblem(w, r, errInternal)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
