package api

import (
	"errors"
	"net/http"

	"session-api/internal/store"
)

// verifyCredential is credential for a gateway's question: what it asks the
// store, it asks within the time that a gateway waits. The error is for
// refuseCredential.
func (s *Server) verifyCredential(r *http.Request, q *question) (credential, error) {
	cred, err := s.readCredential(r)
	if err == nil && len(cred.more) > 0 {
		ctx := &store.LateContext{Context: r.Context(), At: q.start.Add(s.VerifyTimeout)}
		defer ctx.Release()
		err = s.settle(ctx, &cred)
	}
	if err == nil && cred.ID == "" {
		err = cred.missing()
	}
	return cred, err
}

// refuseCredential is the verdict on a credential that opens no one session. A
// gateway knows no 400: what contradicts itself is a 401, and where that are two
// cookies, it expires both as the caller's own routes do.
func (s *Server) refuseCredential(err error) verdict {
	v := verdict{status: http.StatusUnauthorized, err: errUnauthorized}
	said, ok := errors.AsType[*problem](err)
	switch {
	case !ok:
		return refuse(err)
	case said == errNoCredential:
		v.err = errNoCredential
	case said == errTwinCookies:
		v.cookies = s.cookieForm.expiries
	}
	return v
}
