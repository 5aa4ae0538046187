package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Touch implements backend.Store.
func (s *Store) Touch(_ context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e, rec := s.current(sh, hash, key, now.UnixMilli())
	if e == nil {
		return schema.Session{}, backend.ErrNotFound
	}
	s.usedAgain(sh, e)
	was, next := rec.expires, *rec
	next.expires = backend.Touched(now, until, rec.ttl).UnixMilli()
	if s.limited(&next); next.expires > was {
		rec = &next
		e.rec.Store(rec)
		s.requeue(sh, e, was, rec.expires)
		s.emit(backend.EventTouched, now.UnixMilli(), key, rec)
	}
	return rec.session(key.ID), nil
}

// requeue says that the deadline of e is another one. Under TTL this is what
// decides over evictions, and a write counts among equal deadlines.
func (s *Store) requeue(sh *shard, e *entry, was, expires int64) {
	if s.policy == TTL {
		sh.eviction[e.class].announce(expires)
		e.use(s.clock.Add(1))
	}
	if expires >= was {
		return
	}
	sh.expiry.lowered(e)
	if s.policy == TTL {
		sh.eviction[e.class].lowered(e)
	}
	sh.compact()
}
