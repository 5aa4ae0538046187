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
	table        table

	// orders are the entries of each class in the order in which they are
	// evicted: of their last use, or under TTL of their deadline. They are not
	// filled where nothing is evicted.
	orders [classes]queue
	// ends orders all of them by their deadline.
	ends queue
	// olds are the keys that the shard's sessions had before Regenerate, as
	// long as these lead to them.
	olds oldKeys
	// graces are the successors of keys that would be in this shard.
	graces graces
	// tombs are the keys whose sessions were ended lately, and lapsed those of
	// which one expired or was evicted. They are apart, so that a flood of the
	// latter makes none of the former forgotten.
	tombs, lapsed tombs

	number int

	_ cacheLine
}

func (sh *shard) init(number int, s *Store) {
	sh.number = number
	for c := range sh.orders {
		sh.orders[c] = queue{
			byUse: s.policy == LRU, ties: s.policy == TTL, class: class(c),
			bound: &s.firsts[c][number],
		}
	}
	sh.ends = queue{class: anyClass, bound: &s.nextEnds[number]}
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

// tidy makes a queue anew that has many items for nothing.
func (sh *shard) tidy() {
	for c := range sh.orders {
		sh.orders[c].tidy(sh.table.entries)
	}
	sh.ends.tidy(sh.table.entries)
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

// publish sets the shard's bounds to what its queues hold.
func (sh *shard) publish() {
	for c := range sh.orders {
		sh.orders[c].publish()
	}
	sh.ends.publish()
}
