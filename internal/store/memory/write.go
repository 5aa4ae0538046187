package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Swap implements backend.Store.
func (s *Store) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	if err := checkDocument(next.Doc, old.ID); err != nil {
		return schema.Session{}, err
	}
	key := old.Key()
	hash := s.hash(key)
	sh := s.shardOf(hash)
	var got schema.Session
	err := s.withRoom(ctx, now, &key, func() error {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		e, was := s.current(sh, hash, key, now.UnixMilli())
		switch {
		case e == nil:
			return backend.ErrNotFound
		case !was.unchanged(&old):
			return backend.ErrConflict
		}
		rec := repack(&next, was)
		rec.created = was.created
		if was.same(&next) {
			rec.expires = max(rec.expires, was.expires)
		}
		s.limited(rec)
		if err := s.budget.take(was.holding(), rec.holding(), next.Trusted); err != nil {
			return err
		}
		if rec.user != was.user {
			s.endLead(sh, e) // before a reader can see the other user
		}
		s.replace(sh, e, was, rec)
		got = rec.session(key.ID)
		s.emit(backend.EventUpdated, now.UnixMilli(), key, rec)
		return nil
	})
	if err != nil {
		return schema.Session{}, err
	}
	s.sets.Add(1)
	return got, nil
}

// repack is pack for a session that was another record: what is as it was, they
// share.
func repack(s *schema.Session, was *record) *record {
	user, birth, terms := was.user, was.birth, was.terms
	if s.UserID != user {
		user, birth = strings.Clone(s.UserID), s.Life
	}
	if !was.same(s) || !slices.Equal(s.Files, was.files) {
		terms = was.space.termsOf(s)
		share(terms.files, was.files)
	}
	rec := newRecord(s, user, terms)
	rec.birth = birth
	return rec
}

// share puts the strings of before in the place of equal ones: the index by file
// keeps those that it has.
func share(files, before []string) {
	if len(files) == 0 || len(before) == 0 {
		return
	}
	had := make(map[string]string, len(before))
	for _, path := range before {
		had[path] = path
	}
	for i, path := range files {
		if old, ok := had[path]; ok {
			files[i] = old
		}
	}
}

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
	if limit := now.Add(rec.ttl); until.After(limit) {
		until = limit
	}
	was, next := rec.expires, *rec
	next.expires = until.UnixMilli()
	if s.limited(&next); next.expires > was {
		rec = &next
		e.rec.Store(rec)
		s.requeue(sh, e, was, rec.expires)
		s.emit(backend.EventTouched, now.UnixMilli(), key, rec)
	}
	return rec.session(key.ID), nil
}

// Regenerate implements backend.Store.
func (s *Store) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	if err := checkDocument(next.Doc, next.ID); err != nil {
		return err
	}
	key, nextKey := old.Key(), next.Key()
	hash, nextHash := s.hash(key), s.hash(nextKey)
	sh, nextSh := s.shardOf(hash), s.shardOf(nextHash)
	space := s.spaces.acquire(nextKey.Namespace)
	successor := newEntry(s.limited(pack(&next, space)))
	err := s.withRoom(ctx, now, &key, func() error {
		defer lockBoth(sh, nextSh)()
		e, was := s.current(sh, hash, key, now.UnixMilli())
		switch {
		case e == nil:
			return backend.ErrNotFound
		case !was.unchanged(&old):
			return backend.ErrConflict
		}
		if err := s.vacate(nextSh, nextHash, nextKey, now.UnixMilli()); err != nil {
			return err
		}
		rec := successor.rec.Load()
		successor.class = s.classOf(rec, e.class == served, true) // this is a use
		s.announce(nextSh, rec, successor.class)
		if err := s.budget.take(was.holding(), rec.holding(), next.Trusted); err != nil {
			nextSh.publish()
			return err
		}
		// The successor's files are added before the old ones' references go,
		// so that no file looks forsaken in between.
		s.link(nextSh, nextHash, nextKey, successor)
		s.files.add(successor, rec.files)
		s.files.remove(e, was.files)
		was.space.move(e, space, successor)
		s.unlink(sh, hash, e)
		s.bury(sh, hash, now.UnixMilli())
		if graceUntil.After(now) && rec.user == was.user {
			s.lead(sh, key, nextSh, nextHash, successor, graceUntil.UnixMilli())
		}
		s.emitRegenerated(now.UnixMilli(), key.ID, nextKey, rec)
		return nil
	})
	if err != nil {
		space.release()
		return err
	}
	s.sets.Add(1)
	return nil
}

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
	case revision != 0 && revision != rec.revision:
		return backend.ErrConflict
	}
	s.end(sh, hash, key, e, backend.EventDeleted, now.UnixMilli())
	return nil
}

// The functions below change a locked shard.

// current returns the entry of a key that is live at now, and its record. It
// frees an expired one: whoever was told that it is gone must not see it again,
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
// come in. It comes before the room for it is taken, so that whoever finds none
// sees where it went, and before its tick is taken, as the package comment
// explains.
func (s *Store) announce(sh *shard, rec *record, c class) {
	sh.ends.announce(rec.expires)
	s.announceOrder(sh, rec, c)
}

// link makes e known by its key and to the queues.
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
	sh.tombs.lift(hash)
	sh.lapsed.lift(hash)
	sh.graces.forget(key)
	sh.ends.push(e)
	if s.policy != None {
		sh.orders[e.class].push(e)
	}
}

// unlink undoes link, and ends e: what still points at it finds no record. Its
// indexes must be gone by then.
func (s *Store) unlink(sh *shard, hash uint64, e *entry) {
	sh.table.drop(hash, e)
	s.endLead(sh, e)
	e.rec.Load().space.release()
	e.rec.Store(nil)
	s.population[e.class].Add(-1)
	sh.ends.ended()
	if s.policy != None {
		sh.orders[e.class].ended()
	}
	sh.tidy()
}

// end ends the session of the key, for the reason that the event names.
func (s *Store) end(sh *shard, hash uint64, key backend.Key, e *entry, why backend.EventType, now int64) {
	rec := e.rec.Load()
	s.drop(sh, hash, e)
	switch why {
	case backend.EventExpired:
		s.expirations.Add(1)
		s.lapse(sh, hash, rec.expires, now)
	case backend.EventEvicted:
		s.evictions.Add(1)
		s.lapse(sh, hash, now, now)
	default:
		s.deletes.Add(1)
		s.bury(sh, hash, now)
	}
	s.emit(why, now, key, rec)
}

// drop removes e from everywhere.
func (s *Store) drop(sh *shard, hash uint64, e *entry) {
	rec := e.rec.Load()
	s.files.remove(e, rec.files)
	rec.space.remove(e)
	s.unlink(sh, hash, e)
	s.budget.give(rec.holding())
}

// replace gives e another record.
func (s *Store) replace(sh *shard, e *entry, was, rec *record) {
	if s.policy == LRU {
		e.use(s.clock.Add(1)) // no longer disposable, if it was
	}
	if slices.Equal(was.files, rec.files) {
		was.space.setRecord(e, was, rec)
	} else {
		gone, added := difference(was.files, rec.files)
		s.files.add(e, added)
		was.space.setRecord(e, was, rec)
		s.files.remove(e, gone)
	}
	s.requeue(sh, e, was.expires, rec.expires)
	if to := s.classOf(rec, e.class == served, true); to != e.class {
		s.reclass(sh, e, to)
	}
}

// requeue says that the deadline of e is another one. Under TTL this is what
// decides over evictions, and a write counts among equal deadlines.
func (s *Store) requeue(sh *shard, e *entry, was, expires int64) {
	if s.policy == TTL {
		sh.orders[e.class].announce(expires)
		e.use(s.clock.Add(1))
	}
	if expires >= was {
		return
	}
	sh.ends.moved(e)
	if s.policy == TTL {
		sh.orders[e.class].moved(e)
	}
	sh.tidy()
}
