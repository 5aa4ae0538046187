package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// Get implements store.Store. It does not allocate, except for a key in its
// grace.
func (s *Store) Get(_ context.Context, now time.Time, key store.Key) (schema.Session, error) {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sess, ok := s.read(sh, hash, key, now.UnixMilli(), true)
	if !ok {
		sh.misses.Add(1)
		return schema.Session{}, store.ErrNotFound
	}
	sh.hits.Add(1)
	return sess, nil
}

// Peek implements store.Store.
func (s *Store) Peek(_ context.Context, now time.Time, key store.Key) (schema.Session, error) {
	hash := s.hash(key)
	sess, ok := s.read(s.shardOf(hash), hash, key, now.UnixMilli(), false)
	if !ok {
		return schema.Session{}, store.ErrNotFound
	}
	return sess, nil
}

// read returns the live session of the key, or the one that the key leads to.
func (s *Store) read(sh *shard, hash uint64, key store.Key, now int64, isUse bool) (schema.Session, bool) {
	sh.mu.RLock()
	e, rec := sh.live(hash, key, now)
	if e != nil {
		if isUse {
			s.use(e)
		}
		sh.mu.RUnlock()
		return rec.session(key.ID), true
	}
	g, ok := sh.graces.find(key, now)
	sh.mu.RUnlock()
	if !ok {
		return schema.Session{}, false
	}
	return s.follow(g, now, isUse)
}

// follow returns the live session that a grace leads to. It is read under its
// own shard's lock, as by its own key: it must not be evicted between being
// found and being used.
func (s *Store) follow(g grace, now int64, isUse bool) (schema.Session, bool) {
	sh := s.shardOf(g.hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	rec := g.to.rec.Load()
	if rec == nil || !rec.live(now) {
		return schema.Session{}, false
	}
	if isUse {
		s.use(g.to)
	}
	return rec.session(string(rec.id())), true
}

// use notes that e is being used. Its shard is locked, for reading at least.
func (s *Store) use(e *entry) {
	if s.policy == LRU {
		e.use(s.clock.Add(1))
	}
}
