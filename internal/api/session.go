package api

import (
	"errors"
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// createSession stores a new session, and ends all that the request came with
// once the new one is stored. With If-None-Match: * it creates only where the
// request opens none, and answers the one that it opens otherwise.
func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	bearer, err := wantsBearer(r)
	if err != nil {
		return err
	}
	none, err := parseETags(r, "If-None-Match")
	if err != nil {
		return err
	}
	cred, err := s.creator(w, r, none.present)
	if err != nil {
		return err
	}
	in, err := s.readInput(w, r)
	if err != nil {
		return err
	}
	if none.present && cred.ID != "" {
		sess, moved, err := s.fetch(r, key(cred.ID), s.TouchOnAccess && !isPrefetch(r))
		switch {
		case err == nil && none.matchWeak(sess.ETag()):
			noteSession(r, sess.ID)
			s.keepCredential(w, &cred, &sess, moved)
			writeSession(w, http.StatusOK, &sess)
			return nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	if bearer {
		if err := s.allowToken(r, &cred); err != nil {
			return err
		}
	}
	if s.limitCreation(w, r, &cred) {
		return errRateLimited
	}
	var room [maxOpeners]string
	old := cred.ids(room[:0])
	sess, err := s.createInPlace(w, r, &cred, old, in)
	if err != nil {
		return err
	}
	// Where the caller asked that none be live, what has come to life meanwhile
	// is not its own to end.
	if !none.any {
		if err := s.endAll(r, old); err != nil {
			return err
		}
	}
	noteSession(r, sess.ID)
	w.Header()["Location"] = ownLocation
	s.issue(w, &cred, http.StatusCreated, &sess, bearer)
	return nil
}

// creator reads the credential of a request that creates a session: whatever
// the cookies open must not stand in its way, unless it asks what that is.
func (s *Server) creator(w http.ResponseWriter, r *http.Request, asks bool) (credential, error) {
	if asks {
		return s.credential(w, r)
	}
	return s.credentials(r)
}

// credentials reads all that the request opens. Only a bearer token and a cookie
// that differ are refused.
func (s *Server) credentials(r *http.Request) (credential, error) {
	cred, err := s.readCredential(r)
	if err == nil && cred.bearer {
		err = s.settle(r.Context(), &cred)
	}
	return cred, err
}

// createInPlace stores a session that takes the place of those of the ids.
func (s *Server) createInPlace(w http.ResponseWriter, r *http.Request, cred *credential, old []string, in schema.Change) (schema.Session, error) {
	var first string
	if len(old) > 0 {
		first, old = old[0], old[1:]
	}
	return s.sessionsOf(cred).CreateInPlace(r.Context(), s.Now(), key(first), cred.bounded(in), s.limitGrowth(w, r, cred, allowUser(cred)), old...)
}

// sessionsOf returns the sessions as the caller may change them: services may take
// what is kept for them.
func (s *Server) sessionsOf(cred *credential) *store.Sessions {
	if cred.service {
		return s.services
	}
	return s.Sessions
}

// endAll ends the sessions of the ids, as far as there are any.
func (s *Server) endAll(r *http.Request, ids []string) error {
	for _, id := range ids {
		if err := s.end(r, key(id), nil); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// getSession reads the session, and moves its deadline.
func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	touch, err := flag(r, "touch", s.TouchOnAccess)
	if err != nil {
		return err
	}
	match, err := parseETags(r, "If-None-Match")
	if err != nil {
		return err
	}
	cred, err := s.credential(w, r)
	if err != nil {
		return err
	}
	sess, moved, err := s.read(w, r, &cred, touch && !isPrefetch(r))
	if err != nil {
		return err
	}
	s.keepCredential(w, &cred, &sess, moved)
	writeUnlessKnown(w, &sess, match)
	return nil
}

// read returns the session of the credential, or a new one with its cookie. moved
// reports whether its deadline did.
func (s *Server) read(w http.ResponseWriter, r *http.Request, cred *credential, touch bool) (sess schema.Session, moved bool, err error) {
	err = cred.missing()
	if cred.ID != "" {
		sess, moved, err = s.fetch(r, key(cred.ID), touch)
	}
	if isAbsent(err) && s.autoCreates(r, cred) {
		sess, err = s.autoCreate(w, r, cred, nil)
	}
	if err != nil {
		return schema.Session{}, false, err
	}
	noteSession(r, sess.ID)
	return sess, moved, nil
}

// isAbsent reports whether the request has no live session.
func isAbsent(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, errNoCredential) || errors.Is(err, errUnauthorized)
}

// fetch reads the session of the key, as a use that moves its deadline or not.
func (s *Server) fetch(r *http.Request, key store.Key, touch bool) (sess schema.Session, moved bool, err error) {
	if touch {
		return s.Sessions.Access(r.Context(), s.Now(), key)
	}
	sess, err = s.Sessions.Get(r.Context(), s.Now(), key)
	return sess, false, err
}

// headSession tells whether there is a session, and touches nothing.
func (s *Server) headSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(w, r)
	if err != nil {
		return err
	}
	sess, err := s.Sessions.Peek(r.Context(), s.Now(), key(cred.ID))
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	s.keepCredential(w, &cred, &sess, false)
	writeSessionHead(w, http.StatusOK, &sess, len(sess.Doc))
	return nil
}

// putSession replaces the sections that the body names.
func (s *Server) putSession(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, jsonTypes, true, s.decodeInput)
}

// patchSession applies a JSON Merge Patch (RFC 7396).
func (s *Server) patchSession(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, mergePatchTypes, true, s.decodeMergePatch)
}

// applyOperations applies a JSON Patch (RFC 6902). It creates nothing: a patch
// edits what is there.
func (s *Server) applyOperations(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, jsonPatchTypes, false, s.decodeOperations)
}

// change is what PUT, PATCH and operations have in common.
func (s *Server) change(w http.ResponseWriter, r *http.Request, types []string, creates bool, decode decoder) error {
	cred, err := s.credential(w, r)
	if err != nil {
		return err
	}
	creates = creates && s.autoCreates(r, &cred)
	if cred.ID == "" && !creates {
		return cred.missing()
	}
	cond, err := s.ifMatch(r)
	if err != nil {
		return err
	}
	change, err := s.readChange(w, r, types, decode)
	if err != nil {
		return err
	}
	var sess schema.Session
	var moved bool
	err = store.ErrNotFound
	if cred.ID != "" {
		sess, moved, err = s.sessionsOf(&cred).Update(r.Context(), s.Now(), key(cred.ID),
			store.Update{Change: cred.bounded(change), If: cond, Allow: s.limitGrowth(w, r, &cred, allowUser(&cred)), Slide: s.TouchOnAccess})
	}
	status := http.StatusOK
	if errors.Is(err, store.ErrNotFound) && creates {
		if cond != nil { // If-Match cannot hold of what is not there
			return errPreconditionFailed
		}
		if sess, err = s.autoCreate(w, r, &cred, change); err == nil {
			status = http.StatusCreated
			w.Header()["Location"] = ownLocation
		}
	}
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	s.keepCredential(w, &cred, &sess, moved)
	writeSession(w, status, &sess)
	return nil
}

// deleteSession ends every session that the request opens, and all cookies. That
// there is none is no error: signing out twice is signing out.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.credentials(r)
	if err != nil {
		return err
	}
	if cred.ID != "" {
		cond, err := s.ifMatch(r)
		if err != nil {
			return err
		}
		var room [maxOpeners]string
		if err := s.signOut(r, cred.ids(room[:0]), cond); err != nil {
			return err
		}
		noteSession(r, cred.ID)
	}
	s.clearCookies(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// signOut ends the sessions of the ids. Of several, the condition must hold for
// one that is live: it is the one that the caller has seen.
func (s *Server) signOut(r *http.Request, ids []string, cond func(schema.Session) error) error {
	if cond != nil {
		var refused error
		held := false
		for _, id := range ids {
			switch err := s.end(r, key(id), cond); {
			case err == nil:
				held = true
			case errors.Is(err, errPreconditionFailed):
				refused = err
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		if refused != nil && !held {
			return refused
		}
	}
	return s.endAll(r, ids)
}

// touchSession moves the deadline.
func (s *Server) touchSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(w, r)
	if err != nil {
		return err
	}
	ttl, err := s.readTTL(w, r)
	if err != nil {
		return err
	}
	sess, err := s.extend(r, &cred, ttl)
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	s.keepCredential(w, &cred, &sess, true)
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// regenerateSession gives the session a new id, and its caller a new token. With a
// user in the body it is a sign-in. A visitor with a token in its grace is told of
// the successor, and gets no token; a service is refused.
func (s *Server) regenerateSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(w, r)
	if err != nil {
		return err
	}
	bearer, err := wantsBearer(r)
	if err == nil && bearer {
		err = s.allowToken(r, &cred)
	}
	if err != nil {
		return err
	}
	how, err := s.readRenewal(w, r)
	if err != nil {
		return err
	}
	sess, made, err := s.renew(r, key(cred.ID), how, allowUser(&cred))
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	switch {
	case made:
	case cred.service: // whoever has the new token is not its visitor for certain
		return store.ErrNotCurrent
	default:
		writeSession(w, http.StatusOK, &sess)
		return nil
	}
	s.issue(w, &cred, http.StatusOK, &sess, bearer || cred.bearer)
	return nil
}

// mustCredential is credential for routes that do nothing without a session.
func (s *Server) mustCredential(w http.ResponseWriter, r *http.Request) (credential, error) {
	cred, err := s.credential(w, r)
	if err == nil && cred.ID == "" {
		err = cred.missing()
	}
	return cred, err
}

// renew gives a session a new id, and perhaps a user, even if its caller does not
// wait for it.
func (s *Server) renew(r *http.Request, key store.Key, how schema.Renewal, allow store.Allow) (next schema.Session, made bool, err error) {
	ctx, cancel := revocation(r)
	defer cancel()
	if how.User != nil {
		next, err = s.Sessions.SignIn(ctx, s.Now(), key, how.User, allow)
		return next, err == nil, err
	}
	return s.Sessions.Renew(ctx, s.Now(), key, how.Grace)
}

// end ends a session even if its caller does not wait for it.
func (s *Server) end(r *http.Request, key store.Key, cond func(schema.Session) error) error {
	ctx, cancel := revocation(r)
	defer cancel()
	return s.Sessions.End(ctx, s.Now(), key, cond)
}

// allowUser keeps the user section from callers that may not write it. A user
// that comes out as it was is not written, so the whole document can be sent
// back.
func allowUser(cred *credential) store.Allow {
	if cred.mayWriteUser() {
		return nil
	}
	return func(before, after schema.Sections) error {
		if !after.User.Equal(before.User) {
			return errUserForbidden
		}
		return nil
	}
}
