package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
)

// graceValue is what a grace's key holds: the successor's id, its life and the end
// of the grace.
func graceValue(id string, life schema.Life, until time.Time) string {
	return id + " " + life.String() + " " + millis(until)
}

// follow returns the successor that the grace of the old key leads to, if it is
// still the session that the grace was made for. The grace is read once more
// afterwards: if it is the same, it led there when the successor was read. A
// successor that is pending is activated, because the caller may use it at once, and
// the instance that made it may be slow, or dead.
func (s *Store) follow(ctx context.Context, client rueidis.Client, now time.Time, old backend.Key, to string) (schema.Session, error) {
	for {
		key, birth, ok := parseGrace(now, old.Namespace, to)
		if !ok {
			return schema.Session{}, backend.ErrNotFound // as a rule: no grace
		}
		next, _, err := s.fetch(ctx, client, now, key, s.keys.Session(key))
		if err != nil {
			return schema.Session{}, err
		}
		begun := next != nil && next.Pending && next.Life.String() == birth
		if begun {
			writer, err := s.client()
			if err != nil {
				return schema.Session{}, err
			}
			err = s.activateOnce(ctx, writer, now, old.ID, key, birth, conn.Confirmation{})
			if err != nil && !errors.Is(err, backend.ErrNotFound) {
				return schema.Session{}, err
			}
		}
		was, still, err := s.fetch(ctx, client, now, old, s.keys.Session(old))
		switch {
		case err != nil:
			return schema.Session{}, err
		case was != nil && !was.Pending:
			return was.Session, nil
		case begun || still != to:
			to = still
		case next == nil || next.Pending || next.Life.String() != birth:
			return schema.Session{}, backend.ErrNotFound
		default:
			return next.Session, nil
		}
	}
}

// parseGrace returns where a grace leads at now: the key, and the life of its
// session.
func parseGrace(now time.Time, namespace, value string) (key backend.Key, birth string, ok bool) {
	parts := strings.Split(value, " ")
	if len(parts) != 3 {
		return backend.Key{}, "", false
	}
	until, err := strconv.ParseInt(parts[2], 10, 64)
	return backend.Key{Namespace: namespace, ID: parts[0]}, parts[1], err == nil && until > now.UnixMilli()
}
