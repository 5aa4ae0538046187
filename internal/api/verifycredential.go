package api

import (
	"errors"
	"net/http"

	"session-api/internal/store"
)

// verifyCredential is credential for an authorization request: it reads from the
// store within the time that a gateway waits. The error is for refuseCredential.
func (s *Server) verifyCredential(r *http.Request, ar *authRequest) (credential, error) {
	cred, err := s.readCredential(r)
	if err == nil && len(cred.more) > 0 {
		ctx := &store.LateContext{Context: r.Context(), At: ar.start.Add(s.VerifyTimeout)}
		defer ctx.Release()
		err = s.settle(ctx, &cred)
	}
	if err == nil && cred.ID == "" {
		err = cred.missing()
	}
	return cred, err
}

// refuseCredential is the decision on credentials that open no one session. A
// gateway knows no 400: contradictory credentials are a 401, and two cookies that
// contradict each other are expired as on the caller's own routes.
func (s *Server) refuseCredential(err error) authDecision {
	d := authDecision{status: http.StatusUnauthorized, err: errUnauthorized}
	said, ok := errors.AsType[*problem](err)
	switch {
	case !ok:
		return refuse(err)
	case said == errNoCredential:
		d.err = errNoCredential
	case said == errTwinCookies:
		d.cookies = s.cookieForm.expiries
	}
	return d
}
