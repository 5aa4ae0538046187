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
	shards [32]turnShard
	// free are turns that nobody wants at present.
	free sync.Pool
}

type turnShard struct {
	mu sync.Mutex
	// wanted are by the keys' hashes. Two keys of one hash would take turns with
	// each other, which does no harm; nobody will see it happen.
	wanted map[uint64]*turn
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
		t.shards[i].wanted = make(map[uint64]*turn)
	}
	return t
}

// heldTurn is a turn that somebody has.
type heldTurn struct {
	shard *turnShard
	hash  uint64
	one   *turn
	free  *sync.Pool
}

// take is enter for who wants a function that ends the turn.
func (t *turns[K]) take(ctx context.Context, key K) (done func(), err error) {
	held, err := t.enter(ctx, key)
	if err != nil {
		return nil, err
	}
	return held.end, nil
}

// enter returns when it is the caller's turn, which then lasts until it is
// ended. Returns the context's error if it ends first.
func (t *turns[K]) enter(ctx context.Context, key K) (heldTurn, error) {
	hash := maphash.Comparable(t.seed, key)
	h := heldTurn{shard: &t.shards[hash%uint64(len(t.shards))], hash: hash, free: &t.free}
	h.shard.mu.Lock()
	if h.one = h.shard.wanted[hash]; h.one == nil {
		h.one, _ = t.free.Get().(*turn) // New makes nothing else
		h.shard.wanted[hash] = h.one
	}
	h.one.by++
	h.shard.mu.Unlock()
	select {
	case h.one.slot <- struct{}{}: // without asking for ctx.Done, which is made when it is asked for
		return h, nil
	default:
	}
	select {
	case h.one.slot <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		h.leave()
		return heldTurn{}, ctx.Err()
	}
}

// end ends the turn.
func (h heldTurn) end() {
	<-h.one.slot
	h.leave()
}

func (h heldTurn) leave() {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	if h.one.by--; h.one.by == 0 {
		delete(h.shard.wanted, h.hash)
		h.free.Put(h.one)
	}
}
