package api

import (
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// putSessionByID replaces the sections that the body names, or creates the
// session.
func (s *Server) putSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	touch, err := boolParameter(r, "touch", false)
	if err != nil {
		return err
	}
	revive, err := boolParameter(r, "revive", false)
	if err != nil {
		return err
	}
	reviveExpired, err := boolParameter(r, "reviveExpired", false)
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
		return notFoundByID(err)
	}
	setLogSession(r, sess.ID)
	if !created {
		writeSession(w, http.StatusOK, &sess)
		return nil
	}
	w.Header().Set("Location", location(&sess))
	writeSession(w, http.StatusCreated, &sess)
	return nil
}
