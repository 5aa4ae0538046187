package api

import (
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"session-api/internal/token"
)

const headerRequestID = "X-Request-Id"

// headerResourcePolicy keeps answers out of pages that embed them without CORS, an
// img or a script of another site for instance
// (https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header).
const headerResourcePolicy = "Cross-Origin-Resource-Policy"

var sameOrigin = []string{"same-origin"}

// guardPage sets what keeps a page of the service's own to itself.
func guardPage(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h["Cross-Origin-Opener-Policy"] = sameOrigin
}

// begin sets what every response carries, and closes connections whose requests
// could leave bytes behind that look like another request. takesBody says
// whether a body may be read; id gets the request's id.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, takesBody bool, id *[1]string) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	h[headerResourcePolicy] = sameOrigin
	id[0] = requestID(r)
	h[headerRequestID] = id[:]
	if len(r.TransferEncoding) > 0 {
		// It may have carried a Content-Length as well, which net/http drops
		// before anybody sees it (RFC 9112 section 6.1 asks to close then).
		h.Set("Connection", "close")
	}
	if r.ContentLength != 0 && !takesBody && !manyAtOnce(r) {
		// An announced body that never comes, as in the requests of nginx's
		// auth_request, would hold up the answer until the read timeout, and
		// after it the connection's end. One that does come is drained.
		h.Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout)) // where it is not to be had, the read timeout remains
	}
}

// manyAtOnce reports whether the request shares its connection with others,
// perhaps of other clients of a gateway, as those of HTTP/2 do. Each is a stream
// of its own: what is left of one stands in no other's way.
func manyAtOnce(r *http.Request) bool { return r.ProtoMajor > 1 }

// hangUp closes the connection after the answer, where the rest of the request
// would come before the next one.
func hangUp(w http.ResponseWriter, r *http.Request) {
	if !manyAtOnce(r) {
		w.Header().Set("Connection", "close")
		w.Header().Del(headerKeepAlive)
	}
}

// headerKeepAlive tells clients how long their connection may rest. Node's fetch
// and others then send no request on one that is about to be closed.
const headerKeepAlive = "Keep-Alive"

// keepAliveHint returns the header's value, or nothing where connections rest
// for as long as they like. Clients take less than a second for none.
func keepAliveHint(idle time.Duration) []string {
	if idle <= 0 {
		return nil
	}
	return []string{"timeout=" + strconv.FormatInt(int64(idle/time.Second), 10)}
}

// keepsAlive reports whether the connection is kept after the answer, as far as
// the client has a say in it. In HTTP/2 the header is forbidden (RFC 9113
// section 8.2.2).
func keepsAlive(r *http.Request) bool { return r.ProtoMajor == 1 && r.ProtoMinor == 1 && !r.Close }

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
// and a new one otherwise.
func requestID(r *http.Request) string {
	if v := r.Header[headerRequestID]; len(v) == 1 && harmlessID(v[0]) {
		return v[0]
	}
	return newRequestID()
}

// newRequestID returns 128 random bits in base32. Nothing depends on nobody
// guessing them, so they need not come from the kernel.
func newRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	a, b := rand.Uint64(), rand.Uint64() //nolint:gosec // names a request, guards nothing
	for i := range len(id) / 2 {
		id[i], id[len(id)/2+i] = alphabet[a%32], alphabet[b%32]
		a, b = a/32, b/32
	}
	return string(id[:])
}

func harmlessID(id string) bool {
	if id == "" || len(id) > maxRequestID || token.HasPrefix(id) {
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

// guard lets only requests pass that check does not refuse.
func guard(s *Server, check func(r *http.Request) error) middlewareFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := check(r); err != nil {
				s.writeProblem(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// recoverPanic turns a panic into a problem and a log line with its stack. It
// stands within account, which knows whether an answer has begun.
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
				if stateOf(r).response.status != 0 {
					panic(http.ErrAbortHandler) // half a response is sent: cut it off
				}
				s.writeProblem(w, r, errInternal)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
