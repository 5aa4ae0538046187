package memory

import (
	"context"
	"sort"
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
	if f.Except == "" {
		return space.count(f.UserID), nil
	}
	// Under the lock of its shard, the one to leave out neither comes nor goes.
	key := backend.Key{Namespace: f.Namespace, ID: f.Except}
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := space.count(f.UserID)
	if e := sh.table.find(hash, key); e != nil && (f.UserID == "" || e.rec.Load().user == f.UserID) {
		n--
	}
	return n, nil
}

// count returns how many entries the index has, or has of a user.
func (n *namespace) count(user string) int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if user == "" {
		return n.all.Len()
	}
	few := 0
	n.users.Ascend(newEntry(start.record(user)), func(e *entry) bool {
		if e.rec.Load().user != user {
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
	place := func(reached func(name string) bool) int {
		return sort.Search(n.users.Len(), func(i int) bool {
			return reached(n.users.at(i).rec.Load().user)
		})
	}
	from := place(func(name string) bool { return name >= user })
	return place(func(name string) bool { return name > user }) - from
}
