package memory

import (
	"cmp"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

var _ backend.Snapshotter = (*Store)(nil)

// Snapshot implements backend.Snapshotter. Records never change, so it takes a
// pointer to each under the locks of all shards, and looks at them afterwards.
func (s *Store) Snapshot(now time.Time) backend.Snapshot {
	type state struct {
		rec  *record
		tick int64
	}
	at := now.UnixMilli()
	all := s.capacity.taken()
	states := make([]state, 0, all.entries+all.entries/16)
	for i := range s.shards {
		s.shards[i].mu.RLock()
	}
	for i := range s.shards {
		for _, e := range s.shards[i].table.entries {
			if e == nil {
				continue
			}
			states = append(states, state{e.rec.Load(), e.used.Load()})
		}
	}
	for i := range s.shards {
		s.shards[i].mu.RUnlock()
	}
	states = slices.DeleteFunc(states, func(one state) bool { return !one.rec.live(at) })
	slices.SortFunc(states, func(a, b state) int { return cmp.Compare(a.tick, b.tick) })
	return backend.Snapshot{Count: len(states), Sessions: func(yield func(schema.Session) bool) {
		for i := range states {
			rec := states[i].rec
			states[i].rec = nil // what has changed since is needed no more
			if rec == nil || !yield(rec.session(string(rec.id()))) {
				return
			}
		}
	}}
}
