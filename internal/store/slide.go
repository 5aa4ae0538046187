package store

import (
	"context"
	"errors"
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

// touched is Touch of old. It is a use also where the deadline stays, and then
// fails with ErrNotFound alone: there is nothing to write.
func (s *Sessions) touched(ctx context.Context, now time.Time, old schema.Session, until time.Time) (schema.Session, error) {
	next, err := s.Store.Touch(ctx, now, old.Key(), until)
	if err != nil && until.Equal(old.ExpiresAt) && !errors.Is(err, ErrNotFound) {
		return old, nil
	}
	return next, err
}
