package api

import (
	"errors"
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
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
	cred, err := s.creatorCredential(w, r, none.present)
	if err != nil {
		return err
	}
	in, err := s.readCreation(w, r, false)
	if err != nil {
		return err
	}
	s.observeVisitor(r, &cred)
	if none.present && cred.ID != "" {
		sess, moved, err := s.fetch(r, defaultKey(cred.ID), s.TouchOnAccess && !isPrefetch(r))
		switch {
		case err == nil && none.matchWeak(sess.ETag()):
			setLogSession(r, sess.ID)
			s.refreshCredential(w, &cred, &sess, moved)
			writeSession(w, http.StatusOK, &sess)
			return nil
		case err != nil && !errors.Is(err, backend.ErrNotFound):
			return err
		}
	}
	if bearer {
		if err := s.allowBearerTransport(r, &cred); err != nil {
			return err
		}
	}
	if s.limitCreation(w, r, &cred) {
		return errRateLimited
	}
	var room [maxOpeners]string
	old := cred.ids(room[:0])
	sess, err := s.replaceOwn(w, r, &cred, old, in)
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
	setLogSession(r, sess.ID)
	w.Header()["Location"] = ownLocation
	s.answerWithToken(w, &cred, http.StatusCreated, &sess, bearer)
	return nil
}

// creatorCredential reads the credential of a request that creates a session: whatever
// the cookies open must not stand in its way, unless it asks what that is.
func (s *Server) creatorCredential(w http.ResponseWriter, r *http.Request, asks bool) (credential, error) {
	if asks {
		return s.credential(w, r)
	}
	return s.credentials(r)
}

// credentials reads all that the request opens. Only a bearer token and a cookie
// that differ are refused.
func (s *Server) credentials(r *http.Request) (credential, error) {
	cred, err := s.readOwnCredential(r)
	if err == nil && cred.bearer {
		err = s.resolveCredential(r.Context(), &cred)
	}
	return cred, err
}

// replaceOwn stores a session that takes the place of those of the ids.
func (s *Server) replaceOwn(w http.ResponseWriter, r *http.Request, cred *credential, old []string, in schema.Change) (schema.Session, error) {
	var first string
	if len(old) > 0 {
		first, old = old[0], old[1:]
	}
	return s.sessionsOf(cred).CreateInPlace(r.Context(), s.Now(), defaultKey(first), cred.bounded(in), s.limitCreatedBytes(w, r, cred, allowUser(cred)), old...)
}

// sessionsOf returns the sessions as the caller may change them: services may take
// what is kept for them.
func (s *Server) sessionsOf(cred *credential) *store.Sessions {
	if cred.service {
		return s.services
	}
	return s.Sessions
}

// createSessionFor creates a session on behalf of a user, and answers with its token
// and cookie.
func (s *Server) createSessionFor(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	space, err := namespace(q)
	if err != nil {
		return err
	}
	in, err := s.readCreation(w, r, true)
	if err != nil {
		return err
	}
	sess, err := s.services.Create(r.Context(), s.Now(), space, in, nil)
	if err != nil {
		return err
	}
	setLogSession(r, sess.ID)
	w.Header().Set("Location", location(&sess))
	return writeIssued(w, http.StatusCreated, &sess, s.newIssuedToken(&sess))
}

// location is where a service reads the session.
func location(sess *schema.Session) string {
	at := "/api/sessions/" + sess.ID
	if sess.Namespace != schema.DefaultNamespace {
		at += "?namespace=" + sess.Namespace
	}
	return at
}
