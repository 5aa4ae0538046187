package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Update is a change of one session.
type Update struct {
	Change schema.Change
	// If, where set, sees the session as it is and can refuse the change. It
	// may be called more than once.
	If func(schema.Session) error
	// Allow, where set, sees the sections before and after and can refuse.
	Allow Allow
	// Slide moves the deadline as activity does. It moves in any case when the
	// change asks for a ttlMs.
	Slide bool
	// until, where set, is where the deadline moves, if that is later.
	until time.Time
	// renews: the session gets a new id with the change.
	renews bool
	// ReviveExpired lets Put create a session whose id belonged to one that
	// expired or was evicted lately; what was ended stays ended.
	ReviveExpired bool
}

// Update changes the session of the key; of an old key in its grace, the
// successor. Concurrent updates of one session all take effect, one after the
// other, and so does one beside a regenerate with a grace. Where the sections
// come out as they were, the revision stays, and it is a use. moved reports whether the deadline
// moved.
// A change of who the user is takes the session's own key: by an old one in its
// grace, Update returns ErrNotCurrent, because somebody else may have the
// successor's token. In the same step every such old key leads nowhere.
// The error is a *schema.Error, one of this package's, or the update's own.
func (s *Sessions) Update(ctx context.Context, now time.Time, key backend.Key, u Update) (next schema.Session, moved bool, err error) {
	return s.update(ctx, now, key, u, true)
}

// update is Update, or does not follow an old key, and returns a *movedError.
func (s *Sessions) update(ctx context.Context, now time.Time, key backend.Key, u Update, follow bool) (next schema.Session, moved bool, err error) {
	now = schema.Now(now)
	swap := func(old schema.Session) error {
		next.Trusted = s.trusted
		err := s.indexing(ctx, indexed(old.Files, next.Files), func() (err error) {
			next, err = s.backend.Swap(ctx, now, old, next)
			return err
		})
		if err == nil {
			s.changes.count(old.Facts, next.Facts)
		}
		return err
	}
	write := func(old schema.Session) error {
		if old.ID != key.ID && !follow {
			return &movedError{to: old}
		}
		if applied(ctx, old.Facts) {
			next = old
			return nil
		}
		if u.If != nil {
			if err := u.If(old); err != nil {
				return err
			}
		}
		var changed changedSections
		if next, changed, err = s.revise(ctx, now, old, u); err != nil {
			return err
		}
		if old.ID != key.ID && next.UserID != old.UserID {
			return ErrNotCurrent
		}
		moved = !next.ExpiresAt.Equal(old.ExpiresAt)
		onlyFacts := !changed.any && next.TTL == old.TTL && next.OwnTTL == old.OwnTTL
		until := next.ExpiresAt
		if onlyFacts && next.Facts == old.Facts {
			next, err = s.touched(ctx, now, old, until)
			return err
		}
		if changed.user {
			return s.changeUser(ctx, now, &old, &next, func() error { return swap(old) })
		}
		if next.UserID == old.UserID {
			err := swap(old)
			if onlyFacts && errors.Is(err, backend.ErrFull) { // no reason not to be used
				next, err = s.touched(ctx, now, old, until)
			}
			return err
		}
		return s.limited(ctx, now, &next, nil, func() error { return swap(old) })
	}
	// What the store remembers of the session saves reading it, where the swap shows that
	// it was right. Nothing else is decided by it.
	writeRecalled := func(old schema.Session) error {
		if u.If != nil && u.If(old) != nil || applied(ctx, old.Facts) {
			return backend.ErrConflict
		}
		var changed changedSections
		var refused error
		if next, changed, refused = s.revise(ctx, now, old, u); refused != nil || !changed.any || changed.user || next.UserID != old.UserID {
			return backend.ErrConflict
		}
		moved = !next.ExpiresAt.Equal(old.ExpiresAt)
		return swap(old)
	}
	if err := s.compareAndSet(ctx, now, key, write, writeRecalled); err != nil {
		return schema.Session{}, false, err
	}
	return next, moved, nil
}

// changeUser swaps old for next, whose user is another or has changed.
func (s *Sessions) changeUser(ctx context.Context, now time.Time, old, next *schema.Session, swap func() error) error {
	if err := admit(ctx); err != nil {
		return err
	}
	// A swap that fails leaves nothing of next.
	act := Act{Kind: ActUserChanged, Namespace: old.Namespace, ID: old.ID, UserID: next.UserID, PreviousUserID: old.UserID}
	var err error
	if next.UserID == old.UserID {
		err = swap()
	} else {
		err = s.limited(ctx, now, next, nil, swap)
	}
	return record(ctx, act, err)
}

// changedSections says which sections an update changes.
type changedSections struct{ any, user bool }

// revise returns old with the update applied, and which sections changed.
func (s *Sessions) revise(ctx context.Context, now time.Time, old schema.Session, u Update) (next schema.Session, changed changedSections, err error) {
	before, err := old.Sections()
	if err != nil {
		return schema.Session{}, changed, fmt.Errorf("reading the stored document: %w", err)
	}
	after, err := u.Change.Apply(before)
	if err != nil {
		return schema.Session{}, changed, err
	}
	if u.Allow != nil {
		if err := u.Allow(before, after); err != nil {
			return schema.Session{}, changed, err
		}
	}
	next = old
	if u.renews {
		next.Facts = observed(ctx, old.Facts)
	}
	life := s.life.of(next.Facts)
	own, asked := life.own(old.OwnTTL, u.Change, after.Roles())
	next.OwnTTL = own
	if _, none := u.Change.(noChange); none {
		next.TTL = life.IdleNow(&old)
	} else {
		next.TTL = life.Idle(next.OwnTTL, after.Roles())
	}
	if asked || next.TTL != old.TTL {
		next.ExpiresAt = life.Deadline(old.CreatedAt, now, next.TTL)
	} else if u.Slide {
		if until, due := life.Slide(now, &old); due {
			next.ExpiresAt = until
		}
	}
	if u.until.After(next.ExpiresAt) {
		next.ExpiresAt = u.until
	}
	if changed.any = !after.Equal(before); changed.any {
		changed.user = !after.User.Equal(before.User)
		next.Revision++
		next.UpdatedAt = now
	}
	// What is written anyway takes the facts along.
	if !u.renews && (changed.any || next.TTL != old.TTL || next.OwnTTL != old.OwnTTL || !next.ExpiresAt.Equal(old.ExpiresAt)) {
		next.Facts = observed(ctx, old.Facts)
	}
	if changed.any || u.renews {
		next.Facts = marked(ctx, next.Facts)
	}
	if next, err = s.rules.Rebuild(next, before, after); err == nil && next.UserID != old.UserID {
		next.Life = schema.NewLife()
	}
	return next, changed, err
}
