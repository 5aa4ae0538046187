package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// sessionKey names the session that a service route is about. Returns
// errInvalidID for an id that no session can have: a caller that took a 404 for
// "there is none yet" would lose what it goes on to write.
func sessionKey(r *http.Request) (store.Key, error) {
	id := chi.URLParam(r, "id")
	if id == "" { // /api/sessions//touch
		return store.Key{}, errNoRoute
	}
	if r.URL.RawPath != "" { // then chi saw the path as it was sent
		var err error
		if id, err = url.PathUnescape(id); err != nil {
			return store.Key{}, errInvalidID
		}
	}
	if !schema.ValidForeignID(id) {
		return store.Key{}, errInvalidID
	}
	q, err := query(r)
	if err != nil {
		return store.Key{}, err
	}
	space, err := namespace(q)
	return store.Key{Namespace: space, ID: id}, err
}

// byID is err as the service routes have it: a session that is not there is no
// matter of credentials.
func byID(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errSessionNotFound
	}
	return err
}

// getSessionByID reads a session.
func (s *Server) getSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	touch, err := flag(r, "touch", false)
	if err != nil {
		return err
	}
	match, err := parseETags(r, "If-None-Match")
	if err != nil {
		return err
	}
	sess, _, err := s.fetch(r, key, touch)
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	writeUnlessKnown(w, &sess, match)
	return nil
}

// headSessionByID tells whether there is a session.
func (s *Server) headSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	sess, err := s.Sessions.Peek(r.Context(), s.Now(), key)
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	writeSessionHead(w, http.StatusOK, &sess, len(sess.Doc))
	return nil
}

// putSessionByID replaces the sections that the body names, or creates the
// session.
func (s *Server) putSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	touch, err := flag(r, "touch", false)
	if err != nil {
		return err
	}
	revive, err := flag(r, "revive", false)
	if err != nil {
		return err
	}
	reviveExpired, err := flag(r, "reviveExpired", false)
	if err != nil {
		return err
	}
	cond, creates, err := s.putConditions(r)
	if err != nil {
		return err
	}
	change, err := s.readChange(w, r, jsonTypes, s.decodeInput)
	if err != nil {
		return err
	}
	update := store.Update{Change: change, If: cond, Slide: touch, ReviveExpired: reviveExpired}
	var sess schema.Session
	var created bool
	if creates {
		sess, created, err = s.services.Put(r.Context(), s.Now(), key, update, revive)
	} else {
		sess, _, err = s.services.Update(r.Context(), s.Now(), key, update)
	}
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	if !created {
		writeSession(w, http.StatusOK, &sess)
		return nil
	}
	w.Header().Set("Location", location(&sess))
	writeSession(w, http.StatusCreated, &sess)
	return nil
}

// patchSessionByID applies a JSON Merge Patch (RFC 7396).
func (s *Server) patchSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	touch, err := flag(r, "touch", false)
	if err != nil {
		return err
	}
	cond, err := s.ifMatch(r)
	if err != nil {
		return err
	}
	change, err := s.readChange(w, r, mergePatchTypes, s.decodeMergePatch)
	if err != nil {
		return err
	}
	sess, _, err := s.services.Update(r.Context(), s.Now(), key, store.Update{Change: change, If: cond, Slide: touch})
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// deleteSessionByID ends a session. That there is none is no error.
func (s *Server) deleteSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	cond, err := s.ifMatch(r)
	if err != nil {
		return err
	}
	if err := s.end(r, key, cond); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	noteSession(r, key.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// touchSessionByID moves the deadline.
func (s *Server) touchSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	ttl, err := s.readTTL(w, r)
	if err != nil {
		return err
	}
	sess, err := s.services.Extend(r.Context(), s.Now(), key, ttl)
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// regenerateSessionByID gives a session a new id, and answers what opens it. With a
// user in the body it is a sign-in. An id in its grace is refused: the successor's
// token is somebody else's.
func (s *Server) regenerateSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	how, err := s.readRenewal(w, r)
	if err != nil {
		return err
	}
	sess, made, err := s.renew(r, key, how, nil)
	if err == nil && !made {
		err = store.ErrNotCurrent
	}
	if err != nil {
		return byID(err)
	}
	noteSession(r, sess.ID)
	return writeHandOver(w, http.StatusOK, &sess, s.handOver(&sess))
}
