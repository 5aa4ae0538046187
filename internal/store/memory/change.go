package memory

import (
	"session-api/internal/store/backend"
)

// The functions below change a locked shard.

// current returns the entry of a key that is live at now, and its record. It
// frees an expired one: a caller to whom it was gone must not see it again,
// even if the clock is set back.
func (s *Store) current(sh *shard, hash uint64, key backend.Key, now int64) (*entry, *record) {
	if s.vacate(sh, hash, key, now) == nil {
		return nil, nil
	}
	return sh.live(hash, key, now)
}

// vacate makes a key free: it fails if a live session has it, and frees an
// expired one.
func (s *Store) vacate(sh *shard, hash uint64, key backend.Key, now int64) error {
	e := sh.table.find(hash, key)
	if e == nil {
		return nil
	}
	if e.rec.Load().live(now) {
		return backend.ErrExists
	}
	s.end(sh, hash, key, e, backend.EventExpired, now)
	return nil
}

// announce lowers the shard's bounds for a record of that class that is about to
// come in. It comes before its capacity is taken, so that an operation that finds none
// sees where it went, and before its tick is taken, as the package comment
// explains.
func (s *Store) announce(sh *shard, rec *record, c class) {
	sh.expiry.announce(rec.expires)
	s.announceOrder(sh, rec, c)
}

// link adds e to the table and to the heaps.
func (s *Store) link(sh *shard, hash uint64, key backend.Key, e *entry) {
	switch s.policy {
	case LRU:
		if e.class == newcomer {
			s.useNewcomer(e)
		} else {
			s.use(e)
		}
	case TTL:
		e.use(s.clock.Add(1))
	case None:
	}
	s.population[e.class].Add(1)
	sh.table.put(hash, e)
	sh.tombstones.clear(hash)
	sh.lapsed.clear(hash)
	sh.graces.forget(key)
	sh.expiry.push(e)
	if s.policy != None {
		sh.eviction[e.class].push(e)
	}
}

// unlink undoes link, and ends e: what still points at it finds no record. Its
// indexes must be gone by then.
func (s *Store) unlink(sh *shard, hash uint64, e *entry) {
	sh.table.drop(hash, e)
	s.endGrace(sh, e)
	e.rec.Load().space.release()
	e.rec.Store(nil)
	s.population[e.class].Add(-1)
	sh.expiry.ended()
	if s.policy != None {
		sh.eviction[e.class].ended()
	}
	sh.compact()
}

// end ends the session of the key, for the reason that the event names.
func (s *Store) end(sh *shard, hash uint64, key backend.Key, e *entry, why backend.EventType, now int64) {
	rec := e.rec.Load()
	s.drop(sh, hash, e)
	switch why {
	case backend.EventExpired:
		s.expirations.Add(1)
		s.setLapsed(sh, hash, rec.expires, now)
	case backend.EventEvicted:
		s.evictions.Add(1)
		s.setLapsed(sh, hash, now, now)
	default:
		s.deletes.Add(1)
		s.setTombstone(sh, hash, now)
	}
	s.emit(why, now, key, rec)
}

// drop removes e from everywhere.
func (s *Store) drop(sh *shard, hash uint64, e *entry) {
	rec := e.rec.Load()
	s.files.remove(e, rec.files)
	rec.space.remove(e)
	s.unlink(sh, hash, e)
	s.capacity.give(rec.usage())
}
