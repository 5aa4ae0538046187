package memory

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// withCapacity runs try, and where that finds the store full, evicts and runs it
// again. spare, if not nil, is the session that the capacity is for.
//
// fits, where it is not nil, returns the error of there being no capacity, at less cost
// than try.
//
// For a guest that is over what guests may take, only other guests are evicted. Within that, it may push out a member once there is no guest: the
// members have more than the reserve then.
func (s *Store) withCapacity(ctx context.Context, now time.Time, spare *backend.Key, fits, try func() error) error {
	err := try()
	if !isFull(err) {
		return s.refusal(err)
	}
	waited := !s.evicting.TryLock()
	if waited { // somebody may have taken the key meanwhile
		s.evicting.Lock()
	}
	defer s.evicting.Unlock()
	for {
		err = nil
		if fits != nil && !waited {
			err = fits()
		}
		if waited = false; err == nil {
			err = try()
		}
		if !isFull(err) {
			return s.refusal(err)
		}
		if err := cancelled(ctx); err != nil {
			return err
		}
		if s.reclaim(now.UnixMilli()) {
			continue
		}
		if s.policy == None {
			return s.refusal(err)
		}
		// An eviction that finds no session is no failure: another goroutine
		// has ended the last one meanwhile. Alone, a session always fits.
		s.evictExcept(spare, err == errReserved, now.UnixMilli()) //nolint:errorlint // it is never wrapped
	}
}

// withSpareCapacity is withCapacity that frees what has expired, and evicts nothing.
func (s *Store) withSpareCapacity(ctx context.Context, now time.Time, try func() error) error {
	err := try()
	if !isFull(err) {
		return s.refusal(err)
	}
	s.evicting.Lock()
	defer s.evicting.Unlock()
	for {
		switch err = try(); {
		case !isFull(err):
			return s.refusal(err)
		case cancelled(ctx) != nil:
			return cancelled(ctx)
		case !s.reclaim(now.UnixMilli()):
			return s.refusal(err)
		}
	}
}

// isFull reports whether the store is full, for now.
func isFull(err error) bool {
	return err == errFull || err == errReserved //nolint:errorlint // they are never wrapped
}

// refusal is backend.ErrFull for what does not fit, and counts what only the reserve
// had capacity for. Other errors, and nil, stay what they are.
func (s *Store) refusal(why error) error {
	switch {
	case errors.Is(why, errReserved), errors.Is(why, errGuestTooLarge):
		s.reserved.Add(1)
		return backend.ErrFull
	case errors.Is(why, errFull):
		return backend.ErrFull
	}
	return why
}

var _ backend.Limited = (*Store)(nil)

// Room implements backend.Limited.
func (s *Store) Room(ctx context.Context, now time.Time) (backend.Room, error) {
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil {
		return backend.Room{}, err
	}
	all := s.capacity.taken()
	return backend.Room{
		Entries: left(s.capacity.limit.entries, all.entries), Bytes: left(s.capacity.limit.bytes, all.bytes),
	}, nil
}

// left is what of a limit is; negative for no limit.
func left(limit, taken int64) int64 {
	if limit == 0 {
		return -1
	}
	return max(0, limit-taken)
}

// Cost implements backend.Limited.
func (s *Store) Cost(sess *schema.Session) int64 {
	return costOf(len(sess.Doc), sess.UserID, sess.Files, sess.Facts)
}

// HasRoom reports whether a new session would fit in without an eviction.
func (s *Store) HasRoom(sess *schema.Session) bool { return s.fits(sess) == nil }

// Refused is the error of a new session that would not; nil of one that would.
func (s *Store) Refused(sess *schema.Session) error {
	return s.refusal(s.fits(sess))
}

func (s *Store) fits(sess *schema.Session) error {
	next := usage{amount{1, s.Cost(sess)}, sess.UserID == ""}
	return s.capacity.fits(next, sess.Trusted)
}

// reclaim frees one session that has expired at now, if there is one. The caller holds
// evicting.
func (s *Store) reclaim(now int64) bool {
	for !s.expiryBounds.above(now) {
		i, lowest := s.expiryBounds.first()
		if lowest > now {
			return false
		}
		if s.expire(&s.shards[i], now, 1) > 0 {
			return true
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
	expiry := &sh.expiry
	for looks := 0; looks < batch && freed < limit && len(expiry.items) > 0 && expiry.items[0].at <= now; looks++ {
		if expiry.fix(0) {
			continue
		}
		e := expiry.items[0].e
		key := e.rec.Load().key()
		s.end(sh, s.hash(key), key, e, backend.EventExpired, now)
		freed++
	}
	expiry.publish()
	return freed
}

// evictExcept evicts the first session in the policy's order other than the
// spared one, or the first guest. The caller holds evicting.
func (s *Store) evictExcept(spare *backend.Key, guestsOnly bool, now int64) {
	if spare == nil {
		s.evict(guestsOnly, now)
		return
	}
	// The spared one leaves the order for as long as it takes.
	hash := s.hash(*spare)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	e := sh.table.find(hash, *spare)
	for c := range sh.eviction { // it may come to another class meanwhile
		sh.eviction[c].spared = e
	}
	sh.mu.Unlock()
	s.evict(guestsOnly, now)
	if e == nil {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for c := range sh.eviction {
		sh.eviction[c].spared = nil
	}
	if e.rec.Load() != nil {
		sh.eviction[e.class].lowered(e) // its item may have gone
		sh.compact()
	}
}

// evict evicts the first session in the policy's order, if there is any: the
// package comment says why it is the first. The caller holds evicting.
func (s *Store) evict(guestsOnly bool, now int64) {
	for {
		c, ok := s.nextClass(guestsOnly)
		if !ok || s.evictFirst(c, now) {
			return
		}
	}
}

// evictFirst evicts the first session of a class. It returns false where it has
// to look again, or the class has none any more.
func (s *Store) evictFirst(c class, now int64) bool {
	if s.policy == TTL {
		return s.evictSoonest(c, now)
	}
	i, lowest := s.evictionBounds[c].first()
	return lowest != never && s.evictUnused(&s.shards[i], c, now)
}

// evictUnused evicts the entry of a shard and a class that was used least
// recently, unless another shard may have an earlier one.
func (s *Store) evictUnused(sh *shard, c class, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	recency := &sh.eviction[c]
	recency.settle()
	if len(recency.items) == 0 || s.evictionBounds[c].min() < recency.items[0].at {
		return false
	}
	s.evictEntry(sh, recency.items[0].e, now)
	recency.settle() // so that the next eviction finds the right shard at once
	return true
}

// evictEntry evicts an entry of a shard, which is locked.
func (s *Store) evictEntry(sh *shard, e *entry, now int64) {
	key := e.rec.Load().key()
	s.end(sh, s.hash(key), key, e, backend.EventEvicted, now)
}

// evictSoonest evicts the session of a class that expires first. Several shards
// can start with the same deadline: then the ticks decide. It returns false where
// it has to look again, or there is none.
func (s *Store) evictSoonest(c class, now int64) bool {
	lowest := s.evictionBounds[c].min()
	if lowest == never {
		return false
	}
	var first *shard
	var firstTick int64
	for i := range s.shards {
		if s.evictionBounds[c].of(i).load() != lowest {
			continue
		}
		if tick, ok := s.shards[i].soonest(c, lowest); ok && (first == nil || tick < firstTick) {
			first, firstTick = &s.shards[i], tick
		}
	}
	return first != nil && s.evictAt(first, c, lowest, firstTick, now)
}

// soonest returns the tick of the entry of a class that expires first in a shard,
// if it does so at that time. Otherwise the shard's bound was too low; it is right
// now.
func (sh *shard) soonest(c class, at int64) (tick int64, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.soonestLocked(c, at)
}

func (sh *shard) soonestLocked(c class, at int64) (tick int64, ok bool) {
	expiry := &sh.eviction[c]
	expiry.settle()
	if len(expiry.items) == 0 || expiry.items[0].at != at {
		return 0, false
	}
	return expiry.ticks[0], true
}

// evictAt evicts the entry of a shard and a class that expires first, if it still
// is the one of that time and tick, and no other shard has an earlier one.
func (s *Store) evictAt(sh *shard, c class, at, tick, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if cur, ok := sh.soonestLocked(c, at); !ok || cur != tick || s.evictionBounds[c].min() < at {
		return false
	}
	s.evictEntry(sh, sh.eviction[c].items[0].e, now)
	return true
}
