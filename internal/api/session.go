package api

import (
	"errors"
	"net/http"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// createSession stores a new session, and ends a live one that the request
// came with once the new one is stored.
func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	bearer, err := wantsBearer(r)
	if err != nil {
		return err
	}
	cred, err := s.credential(r)
	if err != nil {
		return err
	}
	in, err := s.readInput(w, r)
	if err != nil {
		return err
	}
	if s.limitCreation(w, r, cred) {
		return errRateLimited
	}
	now := s.Now()
	sess, err := s.Sessions.CreateInPlace(r.Context(), now, key(cred.id), in, allowUser(cred))
	if err != nil {
		return err
	}
	if cred.id != "" {
		if err := s.end(r, key(cred.id), nil); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	noteSession(r, sess.ID)
	w.Header()["Location"] = ownLocation
	s.issue(w, http.StatusCreated, &sess, bearer)
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
	cred, err := s.credential(r)
	if err != nil {
		return err
	}
	sess, moved, err := s.read(w, r, cred, touch)
	if err != nil {
		return err
	}
	if moved && !cred.bearer {
		s.setCookie(w, s.Now(), &sess)
	}
	writeUnlessKnown(w, &sess, match)
	return nil
}

// read returns the session of the credential. moved reports whether a cookie
// must be sent again.
func (s *Server) read(w http.ResponseWriter, r *http.Request, cred credential, touch bool) (sess schema.Session, moved bool, err error) {
	err = store.ErrNotFound
	if cred.id != "" {
		sess, moved, err = s.fetch(r, key(cred.id), touch)
	}
	if errors.Is(err, store.ErrNotFound) && s.autoCreates(cred) {
		sess, err = s.autoCreate(w, r, cred, &schema.Input{})
		moved = err == nil
	}
	if err != nil {
		return schema.Session{}, false, err
	}
	noteSession(r, sess.ID)
	return sess, moved, nil
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
	cred, err := s.mustCredential(r)
	if err != nil {
		return err
	}
	sess, err := s.Sessions.Peek(r.Context(), s.Now(), key(cred.id))
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
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
	cred, err := s.credential(r)
	if err != nil {
		return err
	}
	creates = creates && s.autoCreates(cred)
	if cred.id == "" && !creates {
		return errUnauthorized
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
	if cred.id != "" {
		sess, moved, err = s.Sessions.Update(r.Context(), s.Now(), key(cred.id),
			store.Update{Change: change, If: cond, Allow: allowUser(cred), Slide: s.TouchOnAccess})
	}
	if errors.Is(err, store.ErrNotFound) && creates {
		if cond != nil { // If-Match cannot hold of what is not there
			return errPreconditionFailed
		}
		sess, err = s.autoCreate(w, r, cred, change)
		moved = err == nil
	}
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	if moved && !cred.bearer {
		s.setCookie(w, s.Now(), &sess)
	}
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// deleteSession ends the session. That there is none is no error: signing out
// twice is signing out.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.credential(r)
	if err != nil {
		return err
	}
	if cred.id != "" {
		cond, err := s.ifMatch(r)
		if err != nil {
			return err
		}
		if err := s.end(r, key(cred.id), cond); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		noteSession(r, cred.id)
	}
	s.clearCookie(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// touchSession moves the deadline.
func (s *Server) touchSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(r)
	if err != nil {
		return err
	}
	ttl, err := s.readTTL(w, r)
	if err != nil {
		return err
	}
	sess, err := s.Sessions.Extend(r.Context(), s.Now(), key(cred.id), ttl)
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	if !cred.bearer {
		s.setCookie(w, s.Now(), &sess)
	}
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// regenerateSession gives the session a new id, and its caller a new token. A
// caller with a token in its grace is told of the successor, and gets no token.
func (s *Server) regenerateSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.mustCredential(r)
	if err != nil {
		return err
	}
	bearer, err := wantsBearer(r)
	if err != nil {
		return err
	}
	grace, err := s.readGrace(w, r)
	if err != nil {
		return err
	}
	sess, made, err := s.renew(r, key(cred.id), grace)
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	if !made {
		writeSession(w, http.StatusOK, &sess)
		return nil
	}
	s.issue(w, http.StatusOK, &sess, bearer || cred.bearer)
	return nil
}

// mustCredential is credential for routes that do nothing without a session.
func (s *Server) mustCredential(r *http.Request) (credential, error) {
	cred, err := s.credential(r)
	if err == nil && cred.id == "" {
		err = errUnauthorized
	}
	return cred, err
}

// autoCreates reports whether a request without a live session gets one. A
// caller with a bearer token does not: it could not be told the new token.
func (s *Server) autoCreates(cred credential) bool { return s.AutoCreate && !cred.bearer }

// autoCreate stores a session that begins with the change.
func (s *Server) autoCreate(w http.ResponseWriter, r *http.Request, cred credential, change schema.Change) (schema.Session, error) {
	if s.limitCreation(w, r, cred) {
		return schema.Session{}, errRateLimited
	}
	return s.Sessions.Create(r.Context(), s.Now(), schema.DefaultNamespace, change, allowUser(cred))
}

// renew gives a session a new id even if its caller does not wait for it.
func (s *Server) renew(r *http.Request, key store.Key, grace time.Duration) (next schema.Session, made bool, err error) {
	ctx, cancel := revocation(r)
	defer cancel()
	return s.Sessions.Renew(ctx, s.Now(), key, grace)
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
func allowUser(cred credential) store.Allow {
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
