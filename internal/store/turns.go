package store

import (
	"context"
	"hash/maphash"
	"sync"
)

// turns are taken by key: one goes on with a key, and others that want the same
// one wait. No key waits for another, so that nobody who keeps writing to a
// session of their own holds up anybody else's. A key that nobody wants takes
// no room.
type turns[K comparable] struct {
	seed   maphash.Seed
	shards [32]turnShard[K]
	// free are turns that nobody wants at present.
	free sync.Pool
}

type turnShard[K comparable] struct {
	mu     sync.Mutex
	wanted map[K]*turn
}

type turn struct {
	// slot is filled by who has the turn.
	slot chan struct{}
	// by counts who has it or waits for it.
	by int
}

func newTurns[K comparable]() *turns[K] {
	t := &turns[K]{seed: maphash.MakeSeed()}
	t.free.New = func() any { return &turn{slot: make(chan struct{}, 1)} }
	for i := range t.shards {
		t.shards[i].wanted = make(map[K]*turn)
	}
	return t
}

// take returns when it is the caller's turn, which then lasts until done is
// called. Returns the context's error if it ends first.
func (t *turns[K]) take(ctx context.Context, key K) (done func(), err error) {
	shard := &t.shards[maphash.Comparable(t.seed, key)%uint64(len(t.shards))]
	shard.mu.Lock()
	one, ok := shard.wanted[key]
	if !ok {
		one, _ = t.free.Get().(*turn) // New makes nothing else
		shard.wanted[key] = one
	}
	one.by++
	shard.mu.Unlock()
	select {
	case one.slot <- struct{}{}:
		return func() { <-one.slot; t.leave(shard, key, one) }, nil
	case <-ctx.Done():
		t.leave(shard, key, one)
		return nil, ctx.Err()
	}
}

func (t *turns[K]) leave(shard *turnShard[K], key K, one *turn) {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if one.by--; one.by == 0 {
		delete(shard.wanted, key)
		t.free.Put(one)
	}
}
