package memory

import (
	"context"
	"time"

	"session-api/internal/store/backend"
)

// Clear implements backend.Store. It takes the first sessions that match until
// there are none, rather than going through the list once: a session that is
// regenerated meanwhile changes its place in the list, but does not escape.
func (s *Store) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	space := s.namespaces.find(f.Namespace)
	if space == nil {
		return 0, nil
	}
	r := rangeOf(f.UserID, f.Created, false)
	ended := 0
	for {
		if err := cancelled(ctx); err != nil {
			return ended, err
		}
		keys := make([]backend.Key, 0, batch)
		space.scan(r, func(_ *entry, rec *record) bool {
			if string(rec.id()) != f.Except {
				keys = append(keys, rec.key())
			}
			return len(keys) < batch
		})
		if len(keys) == 0 {
			return ended, nil
		}
		for _, key := range keys {
			if s.clear(now.UnixMilli(), key, &r) {
				ended++
			}
		}
	}
}

// clear frees the session of the key if it is in the range. It reports whether that
// ended a live one.
func (s *Store) clear(now int64, key backend.Key, r *ageRange) bool {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.table.find(hash, key)
	if e == nil {
		return false
	}
	rec := e.rec.Load()
	if !r.has(rec) {
		return false
	}
	if !rec.live(now) {
		s.end(sh, hash, key, e, backend.EventExpired, now)
		return false
	}
	s.end(sh, hash, key, e, backend.EventDeleted, now)
	return true
}
