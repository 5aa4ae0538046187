package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Delete implements backend.Store. The session is gone with the first of two
// round trips.
func (s *Store) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	client, err := s.using(ctx, key.Namespace)
	if err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	if !s.lifeLimited.Load() {
		if _, err := s.freeOutlived(ctx, client, now, key); err != nil {
			return err
		}
	}
	a, err := s.changeOrAdopt(ctx, client, now, key, nil, "ending a session", s.deletion(now, key, revision, ""))
	switch {
	case err == nil:
		err = changeError(a)
	case revision == 0 && errors.Is(err, backend.ErrDamaged):
		err = s.discard(ctx, client, now, key)
	}
	if err != nil {
		return err
	}
	s.deletes.Add(1)
	if e, err := s.codec.Entry(key, a.Text(0)); err == nil {
		s.removeEntries(ctx, client, e)
	}
	return nil
}

// deletion ends a session if it has the revision (0: any) and the index version
// (empty: any).
func (s *Store) deletion(now time.Time, key backend.Key, revision int64, index string) lua.Call {
	name := s.keys.Session(key)
	s.written.add(name)
	number := ""
	if revision != 0 {
		number = strconv.FormatInt(revision, 10) + ","
	}
	return lua.Call{Confirmed: s.confirmedEnd(), Script: lua.Delete, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), strconv.Itoa(schema.RevisionOffset(key.ID)), number, index, s.tombstoneEnd(now),
	}}
}

// discard removes what a key holds that is no session.
func (s *Store) discard(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key) error {
	name := s.keys.Session(key)
	s.written.add(name)
	a, err := s.change(ctx, client, "removing a damaged session", lua.Call{
		Confirmed: s.confirmedEnd(), Script: lua.Discard, Keys: []string{name, format.Tombstone(name)}, Args: []string{millis(now), s.tombstoneEnd(now)},
	})
	if err != nil {
		return err
	}
	return changeError(a)
}
