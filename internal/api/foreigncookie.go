package api

import (
	"net/http"
	"sync/atomic"
	"time"

	"session-api/internal/token"
)

// foreignCookies notices, for developers, cookies of the session cookie's name
// that somebody else has signed: cookies know no ports, so that two services on
// one host overwrite each other's.
type foreignCookies struct{ next atomic.Int64 }

// foreignEvery is how often there is a line of it at most.
const foreignEvery = time.Minute

// note logs a cookie that is well-formed and did not verify, now and then.
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
