package memory

import (
	"sync"
	"sync/atomic"

	"session-api/internal/store/backend"
)

// shard holds the entries whose keys' hashes start alike.
type shard struct {
	// What a read needs comes first, and so lies together.
	mu           sync.RWMutex
	hits, misses atomic.Int64
	table        hashTable

	// eviction has the entries of each class in the order in which they are
	// evicted: of their last use, or under TTL of their deadline. They are not
	// filled where nothing is evicted.
	eviction [classes]lazyHeap
	// expiry has all of them by their deadline.
	expiry lazyHeap
	// olds are the keys that the shard's sessions had before Regenerate, as
	// long as these lead to them.
	olds oldKeys
	// graces are the successors of keys that would be in this shard.
	graces graces
	// tombstones are the keys whose sessions were ended lately, and lapsed those of
	// which one expired or was evicted. They are apart, so that a flood of the
	// latter makes none of the former forgotten.
	tombstones, lapsed tombstones

	number int

	_ cacheLine
}

func (sh *shard) init(number int, s *Store) {
	sh.number = number
	for c := range sh.eviction {
		sh.eviction[c] = lazyHeap{
			byUse: s.policy == LRU, ties: s.policy == TTL, class: class(c),
			bound: s.evictionBounds[c].of(number),
		}
	}
	sh.expiry = lazyHeap{class: anyClass, bound: s.expiryBounds.of(number)}
	sh.publish()
}

// live returns the entry of a key that is live at now, and its record.
func (sh *shard) live(hash uint64, key backend.Key, now int64) (*entry, *record) {
	if e := sh.table.find(hash, key); e != nil {
		if rec := e.rec.Load(); rec.live(now) {
			return e, rec
		}
	}
	return nil, nil
}

// compact rebuilds the heaps that are sparse.
func (sh *shard) compact() {
	for c := range sh.eviction {
		sh.eviction[c].compact(sh.table.entries)
	}
	sh.expiry.compact(sh.table.entries)
}

// lockBoth locks two shards, which may be the same.
func lockBoth(a, b *shard) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if a.number > b.number {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// publish sets the shard's bounds to what its heaps hold.
func (sh *shard) publish() {
	for c := range sh.eviction {
		sh.eviction[c].publish()
	}
	sh.expiry.publish()
}
