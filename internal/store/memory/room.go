package memory

import (
	"context"
	"time"

	"session-api/internal/store"
)

// withRoom runs try, and where that finds no room, makes some and runs it
// again. spare, if not nil, is the session that the room is for.
func (s *Store) withRoom(ctx context.Context, now time.Time, spare *store.Key, try func() error) error {
	//nolint:errorlint // errNoRoom never leaves the package, nobody wraps it
	if err := try(); err != errNoRoom {
		return err
	}
	s.room.Lock()
	defer s.room.Unlock()
	for {
		//nolint:errorlint // as above
		if err := try(); err != errNoRoom {
			return err
		}
		if err := cancelled(ctx); err != nil {
			return err
		}
		if s.reclaim(now.UnixMilli()) {
			continue
		}
		if s.policy == None {
			return store.ErrFull
		}
		// An eviction that finds nobody is no failure: another goroutine
		// has ended the last one meanwhile. Alone, a session always fits.
		s.evictExcept(spare, now.UnixMilli())
	}
}

// reclaim frees one session that has expired at now, if there is one.
func (s *Store) reclaim(now int64) bool {
	for i := range s.nextEnds {
		for s.nextEnds[i].Load() <= now {
			if s.expire(&s.shards[i], now, 1) > 0 {
				return true
			}
		}
	}
	return false
}

// expire frees up to limit of the shard's sessions that have expired at now,
// and returns how many. It looks at a batch at most of those that seem to have:
// while the shard's bound is not above now, there may be more.
func (s *Store) expire(sh *shard, now int64, limit int) (freed int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ends := &sh.ends
	for looks := 0; looks < batch && freed < limit && len(ends.items) > 0 && ends.items[0].at <= now; looks++ {
		if ends.right(0) {
			continue
		}
		e := ends.items[0].e
		key := e.rec.Load().key()
		s.end(sh, s.hash(key), key, e, store.EventExpired, now)
		freed++
	}
	ends.publish()
	return freed
}

// evictExcept evicts the first session in the policy's order other than the
// spared one. The caller holds room.
func (s *Store) evictExcept(spare *store.Key, now int64) {
	if spare == nil {
		s.evict(now)
		return
	}
	// The spared one leaves the order for as long as it takes.
	hash := s.hash(*spare)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	e := sh.table.find(hash, *spare)
	order := s.order(sh)
	order.spared = e
	sh.mu.Unlock()
	s.evict(now)
	if e == nil {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	order.spared = nil
	if e.rec.Load() != nil {
		order.moved(e) // its item may have gone
		sh.tidy()
	}
}

// evict evicts the first session in the policy's order, if there is any: the
// package comment says why it is the first. The caller holds room.
func (s *Store) evict(now int64) {
	if s.policy == TTL {
		s.evictSoonest(now)
		return
	}
	for {
		i, lowest := s.lastUses.first()
		if lowest == never || s.evictUnused(&s.shards[i], now) {
			return
		}
	}
}

// evictUnused evicts the entry of a shard that was used least recently, unless
// another shard may have an earlier one.
func (s *Store) evictUnused(sh *shard, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.uses.settle()
	if len(sh.uses.items) == 0 || s.lastUses.min() < sh.uses.items[0].at {
		return false
	}
	s.evictEntry(sh, sh.uses.items[0].e, now)
	sh.uses.settle() // so that the next eviction finds the right shard at once
	return true
}

// evictEntry evicts an entry of a shard, which is locked.
func (s *Store) evictEntry(sh *shard, e *entry, now int64) {
	key := e.rec.Load().key()
	s.end(sh, s.hash(key), key, e, store.EventEvicted, now)
}

// evictSoonest evicts the session that expires first. Several shards can start
// with the same deadline: then the ticks decide.
func (s *Store) evictSoonest(now int64) {
	for {
		lowest := s.nextEnds.min()
		if lowest == never {
			return
		}
		var first *shard
		var firstTick int64
		for i := range s.nextEnds {
			if s.nextEnds[i].Load() != lowest {
				continue
			}
			if tick, ok := s.shards[i].soonest(lowest); ok && (first == nil || tick < firstTick) {
				first, firstTick = &s.shards[i], tick
			}
		}
		if first != nil && s.evictAt(first, lowest, firstTick, now) {
			return
		}
	}
}

// soonest returns the tick of the entry that expires first in a shard, if it
// does so at that time. Otherwise the shard's bound was too low; it is right now.
func (sh *shard) soonest(at int64) (tick int64, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.soonestLocked(at)
}

func (sh *shard) soonestLocked(at int64) (tick int64, ok bool) {
	sh.ends.settle()
	if len(sh.ends.items) == 0 || sh.ends.items[0].at != at {
		return 0, false
	}
	return sh.ends.ticks[0], true
}

// evictAt evicts the entry of a shard that expires first, if it still is the one
// of that time and tick, and no other shard has an earlier one.
func (s *Store) evictAt(sh *shard, at, tick, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if cur, ok := sh.soonestLocked(at); !ok || cur != tick || s.nextEnds.min() < at {
		return false
	}
	s.evictEntry(sh, sh.ends.items[0].e, now)
	return true
}

// order is the queue that decides over evictions.
func (s *Store) order(sh *shard) *queue {
	if s.policy == TTL {
		return &sh.ends
	}
	return &sh.uses
}
