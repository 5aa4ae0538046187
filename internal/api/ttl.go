package api

import (
	"net/http"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// bounded returns the change as far as the caller may ask for an idle life: a
// visitor only for a shorter one.
func (c *credential) bounded(change schema.Change) schema.Change {
	if c.mayWriteUser() {
		return change
	}
	return store.Shortening(change)
}

// extend moves the deadline of the caller's session, and gives it the idle life
// ttl as far as the caller may, 0 for none.
func (s *Server) extend(r *http.Request, cred *credential, ttl time.Duration) (schema.Session, error) {
	if cred.mayWriteUser() {
		return s.Sessions.Extend(r.Context(), s.Now(), key(cred.ID), ttl)
	}
	return s.Sessions.Shorten(r.Context(), s.Now(), key(cred.ID), ttl)
}
