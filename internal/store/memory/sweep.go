package memory

import (
	"context"
	"math"
	"time"
)

// Sweep implements backend.Store. It also does what would otherwise be left to
// the next eviction, see the package comment.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	at := now.UnixMilli()
	freed, err := s.expireAll(ctx, at)
	if err != nil {
		return freed, err
	}
	for i := range s.shards {
		sh := &s.shards[i]
		s.sweepGraces(sh, at)
		sh.sweepTombstones(at)
		if s.policy == None {
			continue
		}
		for c := range sh.eviction {
			for next := math.MaxInt; next > 0; {
				if err := cancelled(ctx); err != nil {
					return freed, err
				}
				next = sh.refresh(&sh.eviction[c], next)
			}
		}
	}
	s.namespaces.sweep()
	s.sweepRequests(now)
	return freed, nil
}

// expireAll frees what has expired at now and returns how many sessions that
// were. It looks at no other.
func (s *Store) expireAll(ctx context.Context, now int64) (int, error) {
	freed := 0
	for i := range s.shards {
		for s.expiryBounds.of(i).load() <= now {
			if err := cancelled(ctx); err != nil {
				return freed, err
			}
			freed += s.expire(&s.shards[i], now, batch)
		}
	}
	return freed, nil
}

// sweepTombstones frees the tombstones whose time is over.
func (sh *shard) sweepTombstones(now int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.tombstones.sweep(now)
	sh.lapsed.sweep(now)
}

// sweepGraces frees the graces of the shard's keys that have run out at now.
func (s *Store) sweepGraces(sh *shard, now int64) {
	for _, g := range sh.graces.sweep(now) {
		successors := s.shardOf(g.hash)
		successors.mu.Lock()
		successors.olds.drop(g)
		successors.mu.Unlock()
	}
}

// refresh updates a batch of one of the shard's heaps: that below index end,
// going down, because an item that is updated only sinks. It returns the end
// of the next batch; 0 when there is none.
func (sh *shard) refresh(q *lazyHeap, end int) (next int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	end = min(end, len(q.items))
	next = max(end-batch, 0)
	for i := end - 1; i >= next; i-- {
		q.fix(i)
	}
	q.publish()
	return next
}
