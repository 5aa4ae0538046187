package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Regenerate implements backend.Store.
func (s *Store) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	if err := checkDocument(next.Doc, next.ID); err != nil {
		return err
	}
	key, nextKey := old.Key(), next.Key()
	hash, nextHash := s.hash(key), s.hash(nextKey)
	sh, nextSh := s.shardOf(hash), s.shardOf(nextHash)
	space := s.namespaces.acquire(nextKey.Namespace)
	successor := newEntry(s.limited(pack(&next, space)))
	err := s.withCapacity(ctx, now, &key, nil, func() error {
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
		if err := s.capacity.take(was.usage(), rec.usage(), next.Trusted); err != nil {
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
		s.setTombstone(sh, hash, now.UnixMilli())
		if graceUntil.After(now) && rec.user == was.user {
			s.setGrace(sh, key, nextSh, nextHash, successor, graceUntil.UnixMilli())
		}
		s.emitClientChanged(now.UnixMilli(), key, was, rec, was)
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
