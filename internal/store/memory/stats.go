package memory

import (
	"context"
	"time"

	"session-api/internal/store/backend"
)

// Stats returns the counters. It frees what has expired, as Count does, and looks
// at no other session.
func (s *Store) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil {
		return backend.Stats{}, err
	}
	st := backend.Stats{
		MaxEntries:  s.capacity.limit.entries,
		Sets:        s.sets.Load(),
		Deletes:     s.deletes.Load(),
		Evictions:   s.evictions.Load(),
		Expirations: s.expirations.Load(),
		Reserved:    s.reserved.Load(),
	}
	st.Requests, st.RequestBytes = s.requestUsage()
	all := s.capacity.taken()
	st.Entries, st.Bytes, st.OverLimit = all.entries, all.bytes, s.capacity.exceeded(all)
	for i := range s.shards {
		st.Hits += s.shards[i].hits.Load()
		st.Misses += s.shards[i].misses.Load()
	}
	return st, nil
}
