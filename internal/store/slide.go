package store

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
)

// Slide returns the deadline that a use at now gives a session which was read by
// the key, and whether it is far enough away to be written with MoveTo. It
// writes nothing. A session that is reached through the grace of its old id is
// only read, and never due.
func (s *Sessions) Slide(now time.Time, key Key, sess *schema.Session) (until time.Time, due bool) {
	if sess.ID != key.ID {
		return sess.ExpiresAt, false
	}
	return s.life.Slide(now, sess)
}

// MoveTo moves the deadline of a session that was read to what Slide has said.
// Where the settings give it another idle life than it has, it gets that as
// well, which can bring its deadline forward. Returns what is now stored, or
// ErrNotFound.
func (s *Sessions) MoveTo(ctx context.Context, now time.Time, sess *schema.Session, until time.Time) (schema.Session, error) {
	if s.life.IdleNow(sess) == sess.TTL {
		return s.Touch(ctx, now, sess.Key(), until)
	}
	moved, _, err := s.update(ctx, now, sess.Key(), Update{Change: noChange{}, Slide: true}, false)
	if _, old := errors.AsType[*movedError](err); old {
		err = ErrNotFound
	}
	return moved, err
}

// noChange is a change of nothing: what the settings say takes effect.
type noChange struct{}

func (noChange) Apply(cur schema.Sections) (schema.Sections, error) { return cur, nil }
func (noChange) TTL() (time.Duration, bool)                         { return 0, false }
