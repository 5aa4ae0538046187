package redis

import (
	"context"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Touch implements backend.Store. It is one round trip, and writes nothing but
// the deadline.
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
	st.Session.ExpiresAt = time.UnixMilli(s.within(st.Session.CreatedAt.UnixMilli(), a.Deadline())).UTC()
	return st.Session, nil
}
