package memory

import (
	"context"
	"time"

	"session-api/internal/store/backend"
)

// Delete implements backend.Store.
func (s *Store) Delete(_ context.Context, now time.Time, key backend.Key, revision int64) error {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e, rec := s.current(sh, hash, key, now.UnixMilli())
	switch {
	case e == nil:
		return backend.ErrNotFound
	case !backend.AtRevision(revision, rec.revision):
		return backend.ErrConflict
	}
	s.end(sh, hash, key, e, backend.EventDeleted, now.UnixMilli())
	return nil
}
