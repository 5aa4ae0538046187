package api

import (
	"net/http"
	"time"
)

// headerResourcePolicy keeps answers out of pages that embed them without CORS, an
// img or a script of another site for instance
// (https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header).
const headerResourcePolicy = "Cross-Origin-Resource-Policy"

var sameOrigin = []string{"same-origin"}

// setPageHeaders sets the security headers of the service's own pages.
func setPageHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h["Cross-Origin-Opener-Policy"] = sameOrigin
}

// setCommonHeaders sets the headers of every response, and closes connections whose
// requests could leave bytes behind that look like another request. takesBody says
// whether the body may be read; id is set to the request's id.
func (s *Server) setCommonHeaders(w http.ResponseWriter, r *http.Request, takesBody bool, id *[1]string) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	h[headerResourcePolicy] = sameOrigin
	id[0] = requestID(r)
	h[headerRequestID] = id[:]
	if len(r.TransferEncoding) > 0 {
		// It may have carried a Content-Length as well, which net/http drops
		// before handlers see it (RFC 9112 section 6.1 asks to close then).
		h.Set("Connection", "close")
	}
	if r.ContentLength != 0 && !takesBody && !isMultiplexed(r) {
		// An announced body that never comes, as in the requests of nginx's
		// auth_request, would hold up the answer until the read timeout, and
		// after it the connection's end. One that does come is drained.
		h.Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout)) // where it is not to be had, the read timeout remains
	}
}

// readsBody reports whether any route reads a body with the method.
func readsBody(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}
