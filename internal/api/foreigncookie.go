package api

import (
	"net/http"
	"sync/atomic"
	"time"

	"session-api/internal/token"
)

// foreignCookies logs, in development, session cookies that another service has signed:
// cookies do not depend on the port, so two services on one host overwrite each other's.
type foreignCookies struct{ next atomic.Int64 }

// foreignEvery is the least interval between two such log lines.
const foreignEvery = time.Minute

// note logs a cookie that is well-formed and did not verify, at most once in
// foreignEvery.
func (f *foreignCookies) note(s *Server, r *http.Request, value string) {
	if !s.Development {
		return
	}
	if !token.WellFormed(value) {
		return
	}
	now := s.Now()
	next := f.next.Load()
	if now.UnixNano() < next || !f.next.CompareAndSwap(next, now.Add(foreignEvery).UnixNano()) {
		return
	}
	s.Logger.WarnContext(r.Context(), "a session cookie was signed with another secret: "+
		"another service on this host may use the same COOKIE_NAME, whatever its port, or SESSION_SECRET is another than before",
		"cookie", s.Cookie.Name)
}
