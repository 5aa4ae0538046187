package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Recall implements backend.Recaller: from the value that the session was last seen to
// have, where the server had it still when it was asked again, or where this instance
// has stored it.
func (s *Store) Recall(now time.Time, key backend.Key) (schema.Session, bool) {
	r := s.values.last(key)
	if r == nil || !r.steady.Load() {
		return schema.Session{}, false
	}
	sess := r.st.Session
	sess.ExpiresAt = time.UnixMilli(s.within(sess.CreatedAt.UnixMilli(), r.deadline.Load())).UTC()
	live := sess.Live(now)
	return sess, live
}

// replace is Swap of a session that keeps its entry and its life. If the value that it
// was last seen to have is known, the server compares that as a whole, which is
// cheaper than to look for what a swap compares, and writes a value that is complete.
// done is false if the session is to be swapped in the other way: that decides if the
// stored value is another, and if the caller cannot take the reserve.
func (s *Store) replace(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, next schema.Session) (got schema.Session, done bool, err error) {
	const doing = "changing a session"
	r := s.values.last(old.Key())
	switch {
	case r == nil || backend.VersionOf(&r.st.Session) != backend.VersionOf(old) || next.TTL != old.TTL || next.OwnTTL != old.OwnTTL,
		old.Facts.FamilyChanged(next.Facts): // which has an event of its own
		return got, false, nil
	case r.st.Files != nil || !r.st.Index.Fits(old.UserID, old.Files) || s.reserveArg(guestGrows(old, &next)) != "":
		return got, false, nil
	}
	name := s.keys.Session(old.Key())
	s.written.add(name)
	value := rueidis.BinaryString(s.codec.Encode(&next).Value(r.st.Index, format.End(&next)))
	deadline := "0" // the present one stays
	if next.ExpiresAt.After(old.ExpiresAt) {
		deadline = millis(next.ExpiresAt)
	}
	a, err := s.change(ctx, client, doing, lua.Call{Confirmed: s.confirmedWrite(), Script: lua.Replace, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), r.value, value, deadline, s.tombstoneLife(),
	}})
	switch {
	case err != nil:
		return got, true, err
	case a.Outcome != lua.Done:
		r.steady.Store(false)
		return got, false, nil
	}
	s.sets.Add(1)
	next.ExpiresAt = time.UnixMilli(s.within(next.CreatedAt.UnixMilli(), a.Deadline())).UTC()
	s.remember(&next, value, r.st.Index)
	return next, true, nil
}

// remember keeps the value that a session has now, whose entries have that version.
func (s *Store) remember(sess *schema.Session, value string, index format.Version) {
	st, err := format.Stored(sess, index)
	if err != nil {
		return
	}
	if r := s.values.put(sess.Key(), value, &st); r != nil {
		r.deadline.Store(sess.ExpiresAt.UnixMilli())
		r.steady.Store(true)
	}
}
