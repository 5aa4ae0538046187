package store

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Slide returns the deadline that a use at now gives a session which was read by
// the key, and whether it is far enough away to be written with MoveTo. It
// writes nothing. A session that is reached through the grace of its old id is
// only read, and never due.
func (s *Sessions) Slide(now time.Time, key backend.Key, sess *schema.Session) (until time.Time, due bool) {
	if sess.ID != key.ID {
		return sess.ExpiresAt, false
	}
	return s.life.Slide(now, sess)
}

// MoveTo moves the deadline of a session that was read to what Slide has said.
// Where the settings give it another idle life than it has, it gets that as
// well, which can bring its deadline forward. What is observed of it is stored, too. Returns what is now stored, or
// ErrNotFound.
func (s *Sessions) MoveTo(ctx context.Context, now time.Time, sess *schema.Session, until time.Time) (schema.Session, error) {
	if s.life.IdleNow(sess) == sess.TTL {
		if observed(ctx, sess.Facts) == sess.Facts {
			return s.backend.Touch(ctx, now, sess.Key(), until)
		}
	} else {
		until = time.Time{}
	}
	moved, _, err := s.update(ctx, now, sess.Key(), Update{Change: noChange{}, Slide: true, until: until}, false)
	if _, old := errors.AsType[*movedError](err); old {
		err = backend.ErrNotFound
	}
	return moved, err
}

// Extend moves the deadline now, without coalescing; of an old key in its grace,
// the successor's. A ttl above 0 becomes the session's own idle life.
func (s *Sessions) Extend(ctx context.Context, now time.Time, key backend.Key, ttl time.Duration) (schema.Session, error) {
	now = schema.Now(now)
	if ttl > 0 {
		sess, _, err := s.Update(ctx, now, key, Update{Change: ownTTL(ttl)})
		return sess, err
	}
	for try := 0; ; try++ {
		sess, err := s.Get(ctx, now, key)
		if err != nil {
			return schema.Session{}, err
		}
		sess, err = s.MoveTo(ctx, now, &sess, s.life.Deadline(sess.CreatedAt, now, sess.TTL))
		if !errors.Is(err, backend.ErrNotFound) {
			return sess, err
		}
		// Gone at this point can mean regenerated: the next look tells.
		if err := pause(ctx, try); err != nil {
			return schema.Session{}, err
		}
	}
}

// ownTTL is a change of nothing but the idle life.
type ownTTL time.Duration

func (ownTTL) Apply(cur schema.Sections) (schema.Sections, error) { return cur, nil }
func (t ownTTL) TTL() (time.Duration, bool)                       { return time.Duration(t), true }

// noChange is a change of nothing: what the settings say takes effect.
type noChange struct{}

func (noChange) Apply(cur schema.Sections) (schema.Sections, error) { return cur, nil }
func (noChange) TTL() (time.Duration, bool)                         { return 0, false }

// touched is Touch of old. It is a use also where the deadline stays, and then
// fails with ErrNotFound alone: there is nothing to write.
func (s *Sessions) touched(ctx context.Context, now time.Time, old schema.Session, until time.Time) (schema.Session, error) {
	next, err := s.backend.Touch(ctx, now, old.Key(), until)
	if err != nil && until.Equal(old.ExpiresAt) && !errors.Is(err, backend.ErrNotFound) {
		return old, nil
	}
	return next, err
}
