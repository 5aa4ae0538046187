package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// addition is how add treats a session.
type addition int

const (
	create addition = iota
	revive
	restore
)

// Create implements backend.Store.
func (s *Store) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	if backend.Revives(opts) {
		return s.add(ctx, now, &sess, revive)
	}
	return s.add(ctx, now, &sess, create)
}

func (s *Store) add(ctx context.Context, now time.Time, sess *schema.Session, as addition) error {
	if err := checkDocument(sess.Doc, sess.ID); err != nil {
		return err
	}
	key := sess.Key()
	hash := s.hash(key)
	sh := s.shardOf(hash)
	at := now.UnixMilli()
	space := s.namespaces.acquire(key.Namespace)
	e := newEntry(s.limited(pack(sess, space)))
	e.class = s.classOf(e.rec.Load(), sess.Trusted && !sess.Imported, sess.Imported)
	if sess.Disposable && s.policy == LRU {
		e.used.Store(notYetUsed)
	}
	size := e.rec.Load().usage()
	fits := func() error { return s.capacity.admits(size, sess.Trusted || as == restore) }
	try := func() error {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if err := s.vacate(sh, hash, key, at); err != nil {
			return err
		}
		if as == create {
			if err := sh.tombstoneError(hash, at); err != nil {
				return err
			}
		}
		if err := fits(); err != nil {
			return err
		}
		rec := e.rec.Load()
		s.announce(sh, rec, e.class)
		if e.disposable() {
			sh.eviction[e.class].announce(s.lowClock.Load())
		}
		if err := s.capacity.take(none, size, sess.Trusted || as == restore); err != nil {
			sh.publish()
			return err
		}
		s.link(sh, hash, key, e)
		s.files.add(e, rec.files)
		space.add(e)
		if as != restore {
			s.emit(backend.EventCreated, at, key, rec)
		}
		return nil
	}
	var err error
	if sess.Additional {
		err = s.withSpareCapacity(ctx, now, try)
	} else {
		err = s.withCapacity(ctx, now, nil, fits, try)
	}
	if err != nil {
		space.release()
		return err
	}
	if as != restore {
		s.sets.Add(1)
	}
	return nil
}
