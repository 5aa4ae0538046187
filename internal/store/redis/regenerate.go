package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// pendingLife is how long a successor may be pending: longer than the operation
// and what follows it may take.
func (s *Store) pendingLife() time.Duration { return 2*s.opts.Timeout + 5*time.Second }

// Regenerate implements backend.Store. The two keys may be on different servers
// of a Cluster, where nothing changes both at once. So the successor is stored
// first, as pending, which no reader takes for a session. What decides is that
// the old key is ended, in one step, if its session is unchanged. Then the
// successor is published.
func (s *Store) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	client, err := s.using(ctx, next.Namespace)
	if err != nil {
		return err
	}
	if err := checkDocument(&next); err != nil {
		return err
	}
	if s.outlived(now, old.CreatedAt) {
		return backend.ErrNotFound
	}
	// A guest's takes more, too: the old id leaves a tombstone, and perhaps a grace.
	bound := old.UserID == "" && guest(&next)
	encoded := s.codec.Encode(&next)
	if err := s.checkReserve(bound, encoded.Len()+overhead, "regenerating a session"); err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	e := format.NewEntry(&next, format.NewVersion(now, next.UserID, next.Files))
	p := placement{
		key: next.Key(), value: format.Pending(encoded.Value(e.Version, format.End(&next)), next.ExpiresAt.UnixMilli()),
		deadline: next.ExpiresAt, pending: true, revive: true, share: s.reserveArg(bound),
	}
	if err := s.placeIndexed(ctx, client, now, &e, p); err != nil {
		if errors.Is(err, backend.ErrExists) {
			err = s.regenerateError(ctx, client, now, &old)
		}
		return err
	}
	if next.UserID != old.UserID {
		graceUntil = now // the old key leads to no other user's session
	}
	before, err := s.move(ctx, client, now, &old, &e, graceUntil)
	var unconfirmed error
	if errors.Is(err, conn.ErrUnconfirmed) { // the old key was ended, so the successor has to be activated
		unconfirmed, err = err, nil
	}
	if err != nil {
		if !outcomeUnknown(err) { // otherwise the successor may be all that there is
			s.retract(ctx, client, now, &e)
		}
		return err
	}
	s.tellClientChanged(ctx, now, &old, next.Facts)
	if err := s.activate(ctx, client, now, old.ID, &e, before); err != nil {
		return err
	}
	if unconfirmed != nil {
		return unconfirmed
	}
	s.sets.Add(1)
	return nil
}

// move ends the old session in favour of e, and returns the entry that it had. That is
// empty if the end is unconfirmed: should a failover undo it, the session needs it.
func (s *Store) move(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, e *format.Entry, graceUntil time.Time) (format.Entry, error) {
	name := s.keys.Session(old.Key())
	s.written.add(name)
	c := lua.Call{Confirmed: s.confirmedEnd(), Script: lua.Move, Keys: []string{name, format.Grace(name), format.Tombstone(name)}, Args: append(stateArgs(now, old),
		format.Digest(old.UserID, old.Files), millis(graceUntil), graceValue(e.Key.ID, e.Life, graceUntil), s.tombstoneEnd(now),
	)}
	if graceUntil.After(now) {
		c.Before = []string{"SET", format.Grace(name), graceValue(e.Key.ID, e.Life, graceUntil), "NX", "PXAT", millis(graceUntil)}
	}
	a, err := s.changeOrAdopt(ctx, client, now, old.Key(), old, "ending a regenerated session", c)
	if err == nil {
		err = changeError(a)
	}
	if err != nil {
		return format.Entry{}, err
	}
	before, err := s.entryBefore(old, a.Text(0), a.Text(1), a.Text(2))
	if err != nil {
		before = format.Entry{} // it is swept when its time comes
	}
	return before, nil
}

// activate makes a pending successor a session. It tries until the time is up:
// doing it twice does no harm, not doing it would lose the session.
func (s *Store) activate(ctx context.Context, client rueidis.Client, now time.Time, old string, e *format.Entry, before format.Entry) error {
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	var lost error
	for try := 0; ; try++ {
		err := s.activateOnce(ctx, client, now, old, e.Key, e.Life.String(), s.confirmedWrite())
		gone := errors.Is(err, backend.ErrNotFound)
		if err == nil || gone {
			if before.Key.ID != "" {
				s.removeEntries(ctx, client, before)
			}
			if lost != nil && gone {
				return lost // it was published and ended, or never there
			}
			// What is gone was there a moment ago: a reader has activated it, and it
			// was ended since. The old one was regenerated all the same.
			return nil
		}
		lost = err
		if errors.Is(err, conn.ErrUnconfirmed) {
			return err // it is activated
		}
		if conn.Pause(ctx, try) != nil {
			return err
		}
	}
}

// activateOnce tries once to activate the successor of an old id, which must have
// that life.
func (s *Store) activateOnce(ctx context.Context, client rueidis.Client, now time.Time, old string, key backend.Key, birth string, confirmed conn.Confirmation) error {
	name := s.keys.Session(key)
	s.written.add(name)
	a, err := s.change(ctx, client, "publishing a regenerated session", lua.Call{Confirmed: confirmed, Script: lua.Activate, Keys: []string{name, format.Grace(name), format.Tombstone(name)}, Args: []string{
		millis(now), birth, old, s.tombstoneLife(),
	}})
	if err != nil {
		return err
	}
	return changeError(a)
}

// retract removes a successor that nothing came of.
func (s *Store) retract(ctx context.Context, client rueidis.Client, now time.Time, e *format.Entry) {
	after, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	c := lua.Call{Script: lua.Retract, Keys: []string{s.keys.Session(e.Key)}, Args: []string{millis(now), e.Version.String()}}
	_, err := s.eval(after, client, "removing a pending session", c)
	if err == nil { // otherwise it goes by itself, and its entry when it is swept
		s.removeEntries(ctx, client, *e)
	}
}

// regenerateError returns why a session cannot be regenerated onto an id that is taken:
// that comes last.
func (s *Store) regenerateError(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session) error {
	st, _, err := s.fetch(ctx, client, now, old.Key(), s.keys.Session(old.Key()))
	switch {
	case err != nil:
		return err
	case st == nil || st.Pending:
		return backend.ErrNotFound
	case backend.VersionOf(&st.Session) != backend.VersionOf(old):
		return backend.ErrConflict
	}
	return backend.ErrExists
}
