package memory

import "time"

// LimitLife implements backend.Store. The deadlines of what is stored are brought
// within the limit at once, so that no read has to ask for it.
func (s *Store) LimitLife(limit time.Duration) {
	s.maxLife.Store(limit.Milliseconds())
	for i := range s.shards {
		s.limitShard(&s.shards[i])
	}
}

func (s *Store) limitShard(sh *shard) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	earlier := false
	for _, e := range sh.table.entries {
		if e == nil {
			continue
		}
		was := e.rec.Load()
		next := *was
		if s.limited(&next); next.expires < was.expires {
			e.rec.Store(&next)
			earlier = true
		}
	}
	if earlier {
		sh.expiry.rebuild(sh.table.entries)
	}
}

// limited brings the deadline of a record, which is not shared yet, within the
// limit, and returns it.
func (s *Store) limited(rec *record) *record {
	if limit := s.maxLife.Load(); limit > 0 && rec.expires > rec.created+limit {
		rec.expires = rec.created + limit
	}
	return rec
}
