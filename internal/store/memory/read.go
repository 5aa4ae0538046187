package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Get implements backend.Store. It does not allocate, except for a key in its
// grace.
func (s *Store) Get(_ context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sess, ok := s.read(sh, hash, key, now.UnixMilli(), true)
	if !ok {
		sh.misses.Add(1)
		return schema.Session{}, backend.ErrNotFound
	}
	sh.hits.Add(1)
	return sess, nil
}

// Peek implements backend.Store.
func (s *Store) Peek(_ context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	hash := s.hash(key)
	sess, ok := s.read(s.shardOf(hash), hash, key, now.UnixMilli(), false)
	if !ok {
		return schema.Session{}, backend.ErrNotFound
	}
	return sess, nil
}

// read returns the live session of the key, or the one that the key leads to.
// What has expired it frees, so that this is the last that is seen of it even
// if the clock is set back.
func (s *Store) read(sh *shard, hash uint64, key backend.Key, now int64, isUse bool) (schema.Session, bool) {
	sh.mu.RLock()
	e := sh.table.find(hash, key)
	if e == nil {
		g, expired, ok := sh.graces.find(key, now)
		sh.mu.RUnlock()
		switch {
		case expired:
			sh.graces.drop(key, g.to)
			return schema.Session{}, false
		case !ok:
			return schema.Session{}, false
		}
		sess, ok := s.follow(g, now, isUse)
		// That was another shard: does the key still lead there?
		if still, _, _ := sh.graces.find(key, now); still != g {
			return s.read(sh, hash, key, now, isUse)
		}
		return sess, ok
	}
	rec := e.rec.Load()
	live := rec.live(now)
	if live && isUse {
		if s.isNewcomer(e) {
			s.readNewcomer(sh, e)
			return rec.session(key.ID), true
		}
		s.use(e)
	}
	sh.mu.RUnlock()
	if live {
		return rec.session(key.ID), true
	}
	s.expireKey(sh, hash, key, now)
	return schema.Session{}, false
}

// follow returns the live session that a grace leads to. It is read under its
// own shard's lock, as by its own key: it must not be evicted between being
// found and being used.
func (s *Store) follow(g grace, now int64, isUse bool) (schema.Session, bool) {
	sh := s.shardOf(g.hash)
	sh.mu.RLock()
	rec := g.to.rec.Load()
	live := rec != nil && rec.live(now)
	if live && isUse {
		if s.isNewcomer(g.to) {
			s.readNewcomer(sh, g.to)
			return rec.session(string(rec.id())), true
		}
		s.use(g.to)
	}
	sh.mu.RUnlock()
	switch {
	case live:
		return rec.session(string(rec.id())), true
	case rec != nil:
		s.expireKey(sh, g.hash, rec.key(), now)
	}
	return schema.Session{}, false
}

// expireKey frees the session of a key if it has expired at now.
func (s *Store) expireKey(sh *shard, hash uint64, key backend.Key, now int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.current(sh, hash, key, now)
}

// isNewcomer reports whether a use of e is more than another tick. Its shard is
// locked, for reading at least.
func (s *Store) isNewcomer(e *entry) bool { return e.class == newcomer && s.policy == LRU }

// use notes that e is being used, which is no newcomer. Its shard is locked, for
// reading at least.
func (s *Store) use(e *entry) {
	if s.policy == LRU {
		e.use(s.clock.Add(1))
	}
}

// useNewcomer is use of a newcomer. It reports whether e has to leave the
// newcomers for that, which takes the lock for writing: not where the session is
// disposable.
func (s *Store) useNewcomer(e *entry) (leaves bool) {
	if e.disposable() {
		e.use(s.lowClock.Add(1))
		return false
	}
	e.use(s.clock.Add(1))
	return true
}

// readNewcomer is the end of a read of e. It unlocks the shard, which is locked
// for reading.
func (s *Store) readNewcomer(sh *shard, e *entry) {
	leaves := s.useNewcomer(e)
	sh.mu.RUnlock()
	if leaves {
		s.promote(sh, e)
	}
}
