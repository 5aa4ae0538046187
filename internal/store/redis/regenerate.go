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

// Regenerate implements backend.Store. The successor is stored first, as pending, which
// no reader takes for a session. Then one step ends the old key, if its session is
// unchanged, and publishes the successor: whatever happens to this process or to its
// connection, there is one of the two. In a Cluster the two keys may be on different
// servers, where nothing changes both at once. There the end of the old key decides, and
// the successor is published after it.
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
	var before format.Entry
	if s.opts.Cluster {
		before, err = s.move(ctx, client, now, &old, &e, graceUntil)
	} else {
		before, err = s.succeed(ctx, client, now, &old, &e, graceUntil, clientChange(old.Facts, next.Facts))
	}
	var unconfirmed error
	if errors.Is(err, conn.ErrUnconfirmed) { // the old key was ended, so there has to be the successor
		unconfirmed, err = err, nil
	}
	if err != nil {
		if !outcomeUnknown(err) { // otherwise the successor may be all that there is
			s.retract(ctx, client, now, &e)
		}
		return err
	}
	if s.opts.Cluster {
		s.tellClientChanged(now, &old, next.Facts)
		err = s.activate(ctx, client, now, old.ID, &e, before)
	} else if before.Key.ID != "" {
		s.removeAfterwards(ctx, client, before)
	}
	if err != nil {
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
	c := s.ending(now, old, e, graceUntil)
	name := c.Keys[0]
	if graceUntil.After(now) {
		c.Before = []string{"SET", format.Grace(name), graceValue(e.Key.ID, e.Life, graceUntil), "NX", "PXAT", millis(graceUntil)}
	}
	return s.endOld(ctx, client, now, old, c)
}

// succeed is move that publishes the successor in the same step, and before it the event
// of a change of the client's family, empty for none. Returns backend.ErrConflict where
// the successor is not pending any more.
func (s *Store) succeed(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, e *format.Entry, graceUntil time.Time, clientChange string) (format.Entry, error) {
	c := s.ending(now, old, e, graceUntil)
	c.Script = lua.Succeed
	name := s.keys.Session(e.Key)
	s.written.add(name)
	c.Keys = append(c.Keys, name, format.Grace(name), format.Tombstone(name))
	c.Args = append(c.Args, e.Life.String(), old.ID, s.tombstoneLife(), clientChange)
	return s.endOld(ctx, client, now, old, c)
}

// ending is the call of move.
func (s *Store) ending(now time.Time, old *schema.Session, e *format.Entry, graceUntil time.Time) lua.Call {
	name := s.keys.Session(old.Key())
	s.written.add(name)
	return lua.Call{Confirmed: s.confirmedEnd(), Script: lua.Move, Keys: []string{name, format.Grace(name), format.Tombstone(name)}, Args: append(stateArgs(now, old),
		format.Digest(old.UserID, old.Files), millis(graceUntil), graceValue(e.Key.ID, e.Life, graceUntil), s.tombstoneEnd(now),
	)}
}

// endOld makes the call of move or succeed, and returns the entry that the session had.
func (s *Store) endOld(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, c lua.Call) (format.Entry, error) {
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

// removeAfterwards removes the entry of a session that was ended. Where that fails, it is
// swept when its time comes.
func (s *Store) removeAfterwards(ctx context.Context, client rueidis.Client, e format.Entry) {
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	s.removeEntries(ctx, client, e)
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
