package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// DeleteAll implements backend.Store. Many sessions are ended in one round trip, and
// their entries removed in a second one.
func (s *Store) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended := make([]bool, len(ids))
	client, err := s.using(ctx, namespace)
	if err != nil {
		return ended, err
	}
	for from := 0; from < len(ids); from += maxBatch {
		to := min(from+maxBatch, len(ids))
		if err := s.deleteBatch(ctx, client, now, keysOf(namespace, ids[from:to]), ended[from:to]); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// deleteBatch ends sessions, and sets in ended which it has ended.
func (s *Store) deleteBatch(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, ended []bool) error {
	limited, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	calls := make([]lua.Call, len(keys))
	for i, key := range keys {
		calls[i] = s.deletion(now, key, 0, "")
	}
	var over []format.Entry
	var strange []int
	answers, failures := s.changeAll(limited, client, "ending sessions", calls)
	var err error
	for i, a := range answers {
		switch {
		case errors.Is(failures[i], backend.ErrDamaged): // another program's, or damaged
			strange = append(strange, i)
			continue
		case failures[i] != nil:
			err = failures[i] // but what was ended is said
			continue
		case a.Outcome != lua.Done:
			continue
		}
		e, broken := s.codec.Entry(keys[i], a.Text(0))
		if broken == nil {
			over = append(over, e)
		}
		if broken == nil && s.outlived(now, time.UnixMilli(e.Created)) {
			s.expirations.Add(1)
			continue
		}
		ended[i] = true
		s.deletes.Add(1)
	}
	s.removeEntries(ctx, client, over...)
	for _, i := range strange {
		switch one := s.Delete(ctx, now, keys[i], 0); {
		case one == nil:
			ended[i] = true
		case !errors.Is(one, backend.ErrNotFound):
			err = one
		}
	}
	return err
}
