// Package keymutex has a mutex for each of any number of keys.
package keymutex

import (
	"context"
	"hash/maphash"
	"sync"
)

// Mutex is a set of mutexes, one a key. A key that is neither locked nor waited
// for takes no memory, and no key waits for another: one that is always contended
// delays nothing else.
type Mutex[K comparable] struct {
	seed   maphash.Seed
	shards [32]shard
	unused sync.Pool // of *slot
}

type shard struct {
	mu sync.Mutex
	// slots are by the keys' hashes. Two keys of one hash exclude each other, which
	// does no harm and hardly ever happens.
	slots map[uint64]*slot
}

// slot is the mutex of one key: a channel, because waiting for it can be given up,
// and because another goroutine may unlock it.
type slot struct {
	locked chan struct{} // full while it is locked
	refs   int           // of the goroutines that have locked it or wait for it
}

// New returns a Mutex with no key locked.
func New[K comparable]() *Mutex[K] {
	m := &Mutex[K]{seed: maphash.MakeSeed()}
	m.unused.New = func() any { return &slot{locked: make(chan struct{}, 1)} }
	for i := range m.shards {
		m.shards[i].slots = make(map[uint64]*slot)
	}
	return m
}

// Held is a locked key. Any goroutine may unlock it, once.
type Held struct {
	shard  *shard
	hash   uint64
	slot   *slot
	unused *sync.Pool
}

// Lock locks the key. If it is locked, Lock waits until it is not. Returns the
// context's error if that ends first.
func (m *Mutex[K]) Lock(ctx context.Context, key K) (Held, error) {
	hash := maphash.Comparable(m.seed, key)
	h := Held{shard: &m.shards[hash%uint64(len(m.shards))], hash: hash, unused: &m.unused}
	h.shard.mu.Lock()
	if h.slot = h.shard.slots[hash]; h.slot == nil {
		h.slot, _ = m.unused.Get().(*slot) // the pool holds nothing else
		h.shard.slots[hash] = h.slot
	}
	h.slot.refs++
	h.shard.mu.Unlock()
	select {
	case h.slot.locked <- struct{}{}: // without ctx.Done, which some contexts allocate when it is called
		return h, nil
	default:
	}
	select {
	case h.slot.locked <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		h.unref()
		return Held{}, ctx.Err()
	}
}

// Unlock unlocks the key.
func (h Held) Unlock() {
	<-h.slot.locked
	h.unref()
}

func (h Held) unref() {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	if h.slot.refs--; h.slot.refs == 0 {
		delete(h.shard.slots, h.hash)
		h.unused.Put(h.slot)
	}
}
