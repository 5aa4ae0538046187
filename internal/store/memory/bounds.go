package memory

import (
	"math"
	"sync/atomic"
)

// never is above every tick and every time.
const never = math.MaxInt64

// bounds are what the shards publish of one kind of heap: nothing in the shard's
// heap is below its bound. never stands for an empty heap.
//
// The shards are in groups, each with a bound of its own: at or below those of its
// shards, so that an eviction need not look at all of them. A shard lowers the group's
// bound after its own; whoever looks for the first shard raises it.
type bounds struct {
	shards [shardCount]atomic.Int64
	groups [shardCount / groupSize]atomic.Int64
}

// groupSize is about the square root of shardCount, so that the shards of a group are as
// many as the groups.
const groupSize = 1 << (shardBits / 2)

// of returns the bound of a shard.
func (b *bounds) of(shard int) bound { return bound{&b.shards[shard], &b.groups[shard/groupSize]} }

// first returns a shard with the smallest bound. It is called by one goroutine at a time.
func (b *bounds) first() (shard int, lowest int64) {
	for {
		group, seen := 0, int64(never)
		for i := range b.groups {
			if at := b.groups[i].Load(); at < seen {
				group, seen = i, at
			}
		}
		if seen == never {
			return 0, never
		}
		if shard, lowest = b.firstOf(group); lowest <= seen {
			return shard, lowest
		}
		// What is lowered from now on lowers the group's bound again, and what was
		// lowered before is seen by the second look.
		b.groups[group].Store(never)
		_, lowest = b.firstOf(group)
		lower(&b.groups[group], lowest)
	}
}

// firstOf returns the first shard of a group with the smallest bound.
func (b *bounds) firstOf(group int) (shard int, lowest int64) {
	lowest = never
	for i := group * groupSize; i < (group+1)*groupSize; i++ {
		if at := b.shards[i].Load(); at < lowest {
			shard, lowest = i, at
		}
	}
	return shard, lowest
}

// min returns the smallest bound. It is called as first is.
func (b *bounds) min() int64 {
	_, lowest := b.first()
	return lowest
}

// above reports whether no shard's heap may have an item at or below a value; false may
// be wrong.
func (b *bounds) above(at int64) bool {
	for i := range b.groups {
		if b.groups[i].Load() <= at {
			return false
		}
	}
	return true
}

// any reports whether any shard's heap may have an item.
func (b *bounds) any() bool {
	for i := range b.groups {
		if b.groups[i].Load() != never {
			return true
		}
	}
	return false
}

// bound is that of a shard.
type bound struct{ own, group *atomic.Int64 }

func (b bound) load() int64 { return b.own.Load() }

func (b bound) store(at int64) {
	b.own.Store(at)
	lower(b.group, at)
}

// lower makes v at most at.
func lower(v *atomic.Int64, at int64) {
	for {
		now := v.Load()
		if now <= at || v.CompareAndSwap(now, at) {
			return
		}
	}
}
