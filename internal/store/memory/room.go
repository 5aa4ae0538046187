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
		if s.nextEnds[i].Load() <= now && s.expire(&s.shards[i], now, 1) > 0 {
			return true
		}
	}
	return false
}

// expire frees up to limit of the shard's sessions that have expired at now,
// and returns how many.
func (s *Store) expire(sh *shard, now int64, limit int) int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := 0
	for ; n < limit && len(sh.ends.items) > 0; n++ {
		e := sh.ends.items[0].e
		rec := e.rec.Load()
		if rec.live(now) {
			break
		}
		key := rec.key()
		s.end(sh, s.hash(key), key, e, store.EventExpired, now)
	}
	return n
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
	if e != nil {
		s.order(sh).remove(e)
	}
	sh.mu.Unlock()
	s.evict(now)
	if e == nil {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if rec := e.rec.Load(); rec != nil {
		at := rec.expires
		if s.policy == LRU {
			at = e.used.Load()
		}
		s.order(sh).push(e, at)
	}
}

// evict evicts the first session in the policy's order, if there is any: the
// package comment says why it is the first. The caller holds room.
func (s *Store) evict(now int64) {
	lows := &s.lastUses
	if s.policy == TTL {
		lows = &s.nextEnds
	}
	for {
		lowest := lows.min()
		if lowest == never {
			return
		}
		// Several shards can start with the same deadline: then the ticks
		// decide. Uses are unique.
		var first *shard
		var firstTick int64
		for i := range lows {
			if lows[i].Load() != lowest {
				continue
			}
			if tick, ok := s.first(&s.shards[i], lowest); ok && (first == nil || tick < firstTick) {
				first, firstTick = &s.shards[i], tick
			}
		}
		if first != nil && s.evictFrom(first, lows, lowest, firstTick, now) {
			return
		}
	}
}

// first returns the tick of the first entry of a shard, if it stands at the
// value. Otherwise the shard's bound was too low; it is right now.
func (s *Store) first(sh *shard, at int64) (tick int64, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.settled(sh, at)
}

// settled is first for a shard that is locked.
func (s *Store) settled(sh *shard, at int64) (tick int64, ok bool) {
	q := s.order(sh)
	if s.policy == LRU {
		q.settle()
	}
	q.publish()
	if len(q.items) == 0 || q.items[0].at != at {
		return 0, false
	}
	return q.items[0].e.used.Load(), true
}

// evictFrom evicts the first entry of a shard if it still is the one at the
// value and of the tick, and no other shard has an earlier one.
func (s *Store) evictFrom(sh *shard, lows *bounds, at, tick, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if cur, ok := s.settled(sh, at); !ok || cur != tick || lows.min() < at {
		return false
	}
	e := s.order(sh).items[0].e
	key := e.rec.Load().key()
	s.end(sh, s.hash(key), key, e, store.EventEvicted, now)
	return true
}

// order is the queue that decides over evictions.
func (s *Store) order(sh *shard) *queue {
	if s.policy == TTL {
		return &sh.ends
	}
	return &sh.uses
}
