package api

import (
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// regenerateSession gives the session a new id, and its caller a new token. With a user
// in the body it is a sign-in. For a token in its grace period, a visitor gets the
// successor without a token, and a service is refused.
func (s *Server) regenerateSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(w, r)
	if err != nil {
		return err
	}
	bearer, err := wantsBearer(r)
	if err == nil && bearer {
		err = s.allowBearerTransport(r, &cred)
	}
	if err != nil {
		return err
	}
	how, err := s.readRenewal(w, r)
	if err != nil {
		return err
	}
	s.observeVisitor(r, &cred)
	sess, made, err := s.regenerate(r, defaultKey(cred.ID), how, allowUser(&cred))
	if err != nil {
		return err
	}
	setLogSession(r, sess.ID)
	switch {
	case made:
	case cred.service: // who holds the new token need not be its visitor
		return store.ErrNotCurrent
	default:
		writeSession(w, http.StatusOK, &sess)
		return nil
	}
	s.answerWithToken(w, &cred, http.StatusOK, &sess, bearer || cred.bearer)
	return nil
}

// regenerateSessionByID gives a session a new id, and answers with its token and cookie.
// With a user in the body it is a sign-in. An id in its grace period is refused: the
// successor's token belongs to another caller.
func (s *Server) regenerateSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	how, err := s.readRenewal(w, r)
	if err != nil {
		return err
	}
	sess, made, err := s.regenerate(r, key, how, nil)
	if err == nil && !made {
		err = store.ErrNotCurrent
	}
	if err != nil {
		return notFoundByID(err)
	}
	setLogSession(r, sess.ID)
	return writeIssued(w, http.StatusOK, &sess, s.newIssuedToken(&sess))
}

// regenerate gives a session a new id, and perhaps a user, even if its caller does not
// wait for it.
func (s *Server) regenerate(r *http.Request, key backend.Key, how schema.Renewal, allow store.Allow) (next schema.Session, made bool, err error) {
	ctx, cancel := outliving(r, revokeTimeout)
	defer cancel()
	if how.User != nil {
		next, err = s.Sessions.SignIn(ctx, s.Now(), key, how.User, allow)
		return next, err == nil, err
	}
	return s.Sessions.Renew(ctx, s.Now(), key, how.Grace)
}
