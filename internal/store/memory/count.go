package memory

import (
	"context"
	"time"

	"session-api/internal/store/backend"
)

// Count implements backend.Store. It does not go through what it counts, but for a
// user with few sessions: it frees what has expired, which has to be done at
// some time, and then the index has the answer.
func (s *Store) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil {
		return 0, err
	}
	space := s.namespaces.find(f.Namespace)
	if space == nil {
		return 0, nil
	}
	r := rangeOf(f.UserID, f.Created, false)
	if f.Except == "" {
		return space.count(r), nil
	}
	// Under the lock of its shard, the one to leave out neither comes nor goes.
	key := backend.Key{Namespace: f.Namespace, ID: f.Except}
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := space.count(r)
	if e := sh.table.find(hash, key); e != nil && r.has(e.rec.Load()) {
		n--
	}
	return n, nil
}

// count returns how many entries the index has in the range.
func (n *namespace) count(r ageRange) int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	in := n.all
	if r.user != "" {
		in = n.users
	} else if r.from == start && r.to == end {
		return in.Len()
	}
	from, to := newEntry(r.from.record(r.user)), newEntry(r.to.record(r.user))
	few := 0
	in.Ascend(from, func(e *entry) bool {
		if !in.before(e, to) {
			return false
		}
		few++
		return few < batch
	})
	if few < batch {
		return few
	}
	// Of many, it is enough to find the first and the last, by halving: the
	// index knows what is at which place.
	return in.rank(to) - in.rank(from)
}
