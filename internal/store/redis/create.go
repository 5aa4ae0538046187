package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Create implements backend.Store. It is two round trips: the entry, the session.
func (s *Store) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	ignore := ""
	if backend.Revives(opts) {
		ignore = ignoreTombstone
	}
	client, err := s.using(ctx, sess.Namespace)
	if err != nil {
		return err
	}
	if err := checkDocument(&sess); err != nil {
		return err
	}
	encoded := s.codec.Encode(&sess)
	if err := s.checkReserve(guest(&sess), encoded.Len()+overhead, "creating a session"); err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	e := format.NewEntry(&sess, format.NewVersion(now, sess.UserID, sess.Files))
	if err := s.addEntry(ctx, client, &e, sess.ExpiresAt.UnixMilli()); err != nil {
		return err
	}
	value := encoded.Value(e.Version, format.End(&sess))
	if err := s.put(ctx, client, now, sess.Key(), value, millis(sess.ExpiresAt), ignore, s.reserveArg(guest(&sess))); err != nil {
		if !outcomeUnknown(err) {
			s.removeEntries(ctx, client, e)
		}
		return err
	}
	s.sets.Add(1)
	return nil
}

// ignoreTombstone makes put store a session whose key was ended.
const ignoreTombstone = "1"

// put stores a value under a key that has no live session, and no tombstone unless
// ignore is ignoreTombstone. Without a deadline the session is pending, for
// pendingLife at most. share is what a guest cannot take.
func (s *Store) put(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, value []byte, deadline, ignore, share string) error {
	const doing = "creating a session"
	name := s.keys.Session(key)
	s.written.add(name)
	var confirmed conn.Confirmation
	if deadline != "" {
		confirmed = s.confirmedWrite()
	}
	a, err := s.change(ctx, client, doing, lua.Call{Confirmed: confirmed, Script: lua.Create, Keys: []string{name, format.Grace(name), format.Tombstone(name)}, Args: []string{
		millis(now), rueidis.BinaryString(value), deadline, strconv.FormatInt(s.pendingLife().Milliseconds(), 10), ignore, s.tombstoneLife(), share,
	}})
	if err == nil && a.Outcome == lua.Changed {
		var freed bool
		if freed, err = s.freeOutlived(ctx, client, now, key); freed && err == nil {
			return s.put(ctx, client, now, key, value, deadline, ignore, share)
		}
	}
	switch {
	case err != nil:
		return err
	case a.Outcome == lua.Ended:
		return backend.ErrEnded
	case a.Outcome == lua.Lapsed:
		return backend.ErrLapsed
	case a.Outcome == lua.Full:
		return s.reservedError(doing)
	case a.Outcome != lua.Done:
		return backend.ErrExists
	}
	// What had expired and was still there is swept now: nothing else leads to
	// its entry any more.
	if old := a.Text(0); old != "" {
		if e, err := s.codec.Entry(key, old); err == nil {
			s.removeEntries(ctx, client, e)
			s.expirations.Add(1)
		}
	}
	return nil
}

// checkDocument refuses what could not be read back.
func checkDocument(sess *schema.Session) error {
	if err := format.Check(sess); err != nil {
		return fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err)
	}
	return nil
}
