package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Touch implements backend.Store. It is one round trip, and writes nothing but
// the deadline. It is two where this instance knows a session that is no longer stored.
func (s *Store) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	const doing = "touching a session"
	client, err := s.using(ctx, key.Namespace)
	if err != nil {
		return schema.Session{}, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	name := s.keys.Session(key)
	s.written.add(name)
	if got, done, err := s.touchKnown(ctx, client, now, key, name, until); done {
		return got, err
	}
	a, err := s.changeOrAdopt(ctx, client, now, key, nil, doing, lua.Call{Script: lua.Touch, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), millis(until), s.tombstoneLife(),
	}})
	if err == nil {
		err = changeError(a)
	}
	if err != nil {
		return schema.Session{}, err
	}
	var st format.Value
	if err := s.codec.Decode(key, a.Text(1), &st); err != nil {
		return schema.Session{}, failed(doing, fmt.Errorf("%w: %w", format.ErrNotSession, err))
	}
	if s.outlived(now, st.Session.CreatedAt) {
		return schema.Session{}, backend.ErrNotFound
	}
	end := s.within(st.Session.CreatedAt.UnixMilli(), a.Deadline())
	if r := s.values.put(key, a.Text(1), &st); r != nil {
		r.deadline.Store(end)
	}
	st.Session.ExpiresAt = time.UnixMilli(end).UTC()
	return st.Session, nil
}

// touchKnown is Touch of a session whose value this instance has seen, as a rule just
// now: by the read that the touch follows. The server compares what its version is known by,
// which has the idle life, so that neither has the value to be looked through nor to be
// sent. done is false if the session is to be touched in the other way.
func (s *Store) touchKnown(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string, until time.Time) (got schema.Session, done bool, err error) {
	r := s.values.last(key)
	if r == nil || s.outlived(now, r.st.Session.CreatedAt) {
		return got, false, nil
	}
	got = r.st.Session
	head, at, trailer, ok := format.Marks(&got, r.value)
	if !ok {
		return got, false, nil
	}
	deadline := backend.Touched(now, until, got.TTL)
	tombstone, tombstoneEnd := s.expiryTombstone(deadline)
	user, revision := format.Subject(&got)
	a, err := s.change(ctx, client, "touching a session", lua.Call{Script: lua.TouchKnown, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), millis(deadline),
		strconv.Itoa(at), strconv.Itoa(at + len(head) - 1), head, strconv.Itoa(-len(trailer)), trailer,
		tombstone, tombstoneEnd, user, revision,
	}})
	switch {
	case err != nil:
		return schema.Session{}, true, err
	case a.Outcome == lua.Absent:
		return schema.Session{}, true, backend.ErrNotFound
	case a.Outcome != lua.Done:
		r.steady.Store(false)
		return got, false, nil
	}
	end := s.within(got.CreatedAt.UnixMilli(), a.Deadline())
	r.deadline.Store(end)
	r.steady.Store(true)
	got.ExpiresAt = time.UnixMilli(end).UTC()
	return got, true, nil
}
