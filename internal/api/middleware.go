package api

import (
	"net/http"
	"runtime/debug"
)

// middlewareOf lets only requests pass that check does not refuse.
func middlewareOf(s *Server, check func(r *http.Request) error) middlewareFunc {
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
