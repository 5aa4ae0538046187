package store

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Renew gives the session a new id. The old one is gone at once, or for the
// grace still leads to the new session: Get, Access, Update, Put, Extend and End
// of it are of the successor then. Only Renew is not: of concurrent calls one
// makes the successor, and a call within the grace gets the one that there is,
// with made false. There is no grace where somebody else sets the user at the same
// time: who asked for it may be whom the old key is to be taken from.
func (s *Sessions) Renew(ctx context.Context, now time.Time, key backend.Key, grace time.Duration) (next schema.Session, made bool, err error) {
	now = schema.Now(now)
	act := Act{Kind: ActRegenerated, Namespace: key.Namespace, Previous: key.ID}
	next, err = s.once(ctx, now, act, func() (schema.Session, error) { return s.renew(ctx, now, key, grace) })
	if moved, ok := errors.AsType[*movedError](err); ok {
		return moved.to, applied(ctx, moved.to.Facts), nil
	}
	return next, err == nil, err
}

// renew gives the session a new id, by the first attempt at it. Returns a *movedError
// for an old key in its grace.
func (s *Sessions) renew(ctx context.Context, now time.Time, key backend.Key, grace time.Duration) (next schema.Session, err error) {
	if err := admit(ctx); err != nil {
		return schema.Session{}, err
	}
	var seen *schema.Session
	err = s.compareAndSet(ctx, now, key, func(old schema.Session) error {
		if old.ID != key.ID {
			return &movedError{to: old}
		}
		if seen == nil {
			seen = &old
		} else if seen.UserID != old.UserID {
			grace = 0
		}
		next = old.WithID(newID(ctx))
		next.Facts = marked(ctx, observed(ctx, old.Facts))
		next.TTL = s.life.IdleNow(&next)
		next.ExpiresAt = s.life.Deadline(old.CreatedAt, now, next.TTL)
		// Nobody counts the user's sessions between the two keys.
		unlock, err := s.lockLimited(ctx, &next)
		if err != nil {
			return err
		}
		defer unlock()
		successor := next
		successor.Trusted = s.trusted
		return s.indexing(ctx, indexed(nil, next.Files), func() error {
			err := s.backend.Regenerate(ctx, now, old, successor, now.Add(grace))
			if err == nil {
				s.changes.count(old.Facts, next.Facts)
			}
			return err
		})
	}, nil)
	err = record(ctx, Act{
		Kind: ActRegenerated, Namespace: key.Namespace, ID: next.ID, Previous: key.ID, UserID: next.UserID, Grace: grace,
	}, err)
	if err != nil {
		return schema.Session{}, err
	}
	return next, nil
}

// SignIn applies the change, which says who the user is, and gives the session a
// new id in the same step, without a grace: whoever could open the session before
// cannot open it afterwards. Returns ErrNotCurrent for an old key in its grace:
// somebody else has the successor's. Update's errors otherwise, and ErrUserLimit.
func (s *Sessions) SignIn(ctx context.Context, now time.Time, key backend.Key, change schema.Change, allow Allow) (next schema.Session, err error) {
	now = schema.Now(now)
	act := Act{Kind: ActSignedIn, Namespace: key.Namespace, Previous: key.ID}
	return s.once(ctx, now, act, func() (schema.Session, error) { return s.signIn(ctx, now, key, change, allow) })
}

// signIn is SignIn by the first attempt at it.
func (s *Sessions) signIn(ctx context.Context, now time.Time, key backend.Key, change schema.Change, allow Allow) (next schema.Session, err error) {
	if err := admit(ctx); err != nil {
		return schema.Session{}, err
	}
	var before string
	err = s.compareAndSet(ctx, now, key, func(old schema.Session) error {
		if old.ID != key.ID {
			return ErrNotCurrent
		}
		before = old.UserID
		revised, _, err := s.revise(ctx, now, old, Update{Change: change, Allow: allow, renews: true})
		if err != nil {
			return err
		}
		next = revised.WithID(newID(ctx))
		next.ExpiresAt = s.life.Deadline(old.CreatedAt, now, next.TTL)
		successor := next
		successor.Trusted = s.trusted
		regenerate := func() error {
			return s.indexing(ctx, indexed(nil, next.Files), func() error {
				err := s.backend.Regenerate(ctx, now, old, successor, now)
				if err == nil {
					s.changes.count(old.Facts, next.Facts)
				}
				return err
			})
		}
		if next.UserID != old.UserID {
			return s.limited(ctx, now, &next, nil, regenerate)
		}
		unlock, err := s.lockLimited(ctx, &next)
		if err != nil {
			return err
		}
		defer unlock()
		return regenerate()
	}, nil)
	err = record(ctx, Act{
		Kind: ActSignedIn, Namespace: key.Namespace, ID: next.ID, Previous: key.ID, UserID: next.UserID, PreviousUserID: before,
	}, err)
	if err != nil {
		return schema.Session{}, err
	}
	return next, nil
}

// movedError: the key is an old one, in its grace.
type movedError struct{ to schema.Session }

func (*movedError) Error() string { return "session was regenerated" }
