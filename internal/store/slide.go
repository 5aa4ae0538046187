package store

import (
	"time"

	"session-api/internal/schema"
)

// Slide returns the deadline that a use at now gives a session which was read by
// the key, and whether it is far enough ahead to be written with Touch. It
// writes nothing. A session that is reached through the grace of its old id is
// only read, and never due.
func (s *Sessions) Slide(now time.Time, key Key, sess *schema.Session) (until time.Time, due bool) {
	if sess.ID != key.ID {
		return sess.ExpiresAt, false
	}
	return s.life.Slide(now, sess)
}
