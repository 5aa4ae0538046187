package memory

import (
	"time"

	"session-api/internal/store/backend"
)

// tombstones are keys of a shard whose sessions are gone, by their hashes: with
// 64 bits and a secret seed, no two keys that ever meet have the
// same. They are freed as others come, and by Sweep.
type tombstones struct {
	until map[uint64]int64
	// order has them as they came, among them some that were cleared or have
	// come again since.
	order []tombstone
}

type tombstone struct {
	hash  uint64
	until int64
}

// has reports whether the key of the hash is among them at now.
func (t *tombstones) has(hash uint64, now int64) bool {
	until, ok := t.until[hash]
	return ok && now < until
}

// clear forgets the key.
func (t *tombstones) clear(hash uint64) { delete(t.until, hash) }

// set remembers the key until that time. Of more than limit it forgets the
// first.
func (t *tombstones) set(hash uint64, until int64, limit int) {
	if t.until == nil {
		t.until = make(map[uint64]int64)
	}
	t.until[hash] = until
	t.order = append(t.order, tombstone{hash, until})
	for len(t.until) > limit || len(t.order) > 2*limit {
		t.drop()
	}
}

// sweep forgets those whose time is over, as far as none that came before them
// has time left.
func (t *tombstones) sweep(now int64) {
	for len(t.order) > 0 && t.order[0].until <= now {
		t.drop()
	}
}

// drop forgets the first.
func (t *tombstones) drop() {
	first := t.order[0]
	if t.until[first.hash] == first.until {
		delete(t.until, first.hash)
	}
	if t.order = t.order[1:]; len(t.order) == 0 {
		*t = tombstones{}
	}
}

// How many tombstones there are at most, over all shards.
const (
	minTombstones       = 100_000
	tombstonesPerEntry  = 4
	tombstonesUnlimited = 1_000_000 // where sessions are not limited
)

// tombstoneLimit is how many each shard keeps.
func tombstoneLimit(maxEntries int) int {
	if maxEntries == 0 {
		return tombstonesUnlimited / shardCount
	}
	return max(minTombstones, tombstonesPerEntry*maxEntries) / shardCount
}

// setTombstone leaves a tombstone of a key that was ended at now. The shard is locked.
func (s *Store) setTombstone(sh *shard, hash uint64, now int64) {
	if s.tombstone > 0 {
		sh.tombstones.sweep(now)
		sh.tombstones.set(hash, now+s.tombstone, s.maxTombstones)
	}
}

// setLapsed leaves a tombstone of a key whose session expired or was evicted at
// that time, as far as it is not over by now. The shard is locked.
func (s *Store) setLapsed(sh *shard, hash uint64, at, now int64) {
	if s.tombstone > 0 && at+s.tombstone > now {
		sh.lapsed.sweep(now)
		sh.lapsed.set(hash, at+s.tombstone, s.maxTombstones)
	}
}

// tombstoneError returns why no session of a key may be created, nil if one may. The
// shard is locked.
func (sh *shard) tombstoneError(hash uint64, now int64) error {
	switch {
	case sh.tombstones.has(hash, now):
		return backend.ErrEnded
	case sh.lapsed.has(hash, now):
		return backend.ErrLapsed
	}
	return nil
}

// Buried returns until when there must be no session of the key, zero if nothing
// is known of it. lapsed: the one that there was has not been ended, but expired
// or was evicted.
func (s *Store) Buried(key backend.Key) (until time.Time, lapsed bool) {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if at, ok := sh.tombstones.until[hash]; ok {
		return time.UnixMilli(at), false
	}
	if at, ok := sh.lapsed.until[hash]; ok {
		return time.UnixMilli(at), true
	}
	return time.Time{}, false
}

// RestoreTombstone makes the key one that was ended, until that time, unless
// there is a session of it.
func (s *Store) RestoreTombstone(key backend.Key, until time.Time) {
	s.restoreTombstone(key, until, false)
}

// RestoreLapsed makes the key one whose session expired or was evicted, until
// that time, unless there is a session of it.
func (s *Store) RestoreLapsed(key backend.Key, until time.Time) {
	s.restoreTombstone(key, until, true)
}

func (s *Store) restoreTombstone(key backend.Key, until time.Time, lapsed bool) {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := &sh.tombstones
	if lapsed {
		ts = &sh.lapsed
	}
	if sh.table.find(hash, key) == nil {
		ts.set(hash, until.UnixMilli(), s.maxTombstones)
	}
}
