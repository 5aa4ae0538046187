package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// target is the session that a request is about, and the caller's credential, which
// determines its rights.
type target struct {
	key backend.Key // without an ID where the request opens no session
	credential
}

// findOwn finds the session of the caller's credential.
func (s *Server) findOwn(w http.ResponseWriter, r *http.Request) (target, error) {
	cred, err := s.credential(w, r)
	sub := target{credential: cred}
	if cred.ID != "" {
		sub.key = defaultKey(cred.ID)
	}
	s.observeVisitor(r, &sub.credential)
	return sub, err
}

// findNamed finds the session that a service route names. Its caller is trusted.
func (s *Server) findNamed(_ http.ResponseWriter, r *http.Request) (target, error) {
	key, err := sessionKey(r)
	return target{key: key, credential: credential{service: true}}, err
}

// sessionKey names the session that a service route is about.
func sessionKey(r *http.Request) (backend.Key, error) {
	id, err := pathID(r)
	if err != nil {
		return backend.Key{}, err
	}
	space, err := requestedNamespace(r)
	return backend.Key{Namespace: space, ID: id}, err
}

// pathID returns the id in the path. Returns errInvalidID for an id that no session can
// have: a caller that took a 404 for "there is none yet" would lose what it goes on to
// write.
func pathID(r *http.Request) (string, error) {
	id := chi.URLParam(r, "id")
	if id == "" { // /api/sessions//touch
		return "", errNoRoute
	}
	if r.URL.RawPath != "" { // then chi saw the path as it was sent
		var err error
		if id, err = url.PathUnescape(id); err != nil {
			return "", errInvalidID
		}
	}
	if !schema.ValidForeignID(id) {
		return "", errInvalidID
	}
	return id, nil
}

// notFoundByID is err as the service routes have it: a session that is not there is no
// matter of credentials.
func notFoundByID(err error) error {
	if errors.Is(err, backend.ErrNotFound) {
		return errSessionNotFound
	}
	return err
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

// bounded returns the change as far as the caller may ask for an idle timeout: a
// visitor only for a shorter one.
func (c *credential) bounded(change schema.Change) schema.Change {
	if c.mayWriteUser() {
		return change
	}
	return store.Shortening(change)
}
