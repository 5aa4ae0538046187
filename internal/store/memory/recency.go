package memory

import (
	"cmp"
	"slices"

	"session-api/internal/store/backend"
)

// Use is a session's place in the order of uses.
type Use struct {
	Key backend.Key
	// Served: a service made it. Again: it was used since it was created.
	Served, Again bool
}

// Uses returns the sessions in the order in which they were used last, as far as
// the policy goes by that; of what happens meanwhile it may see a part.
func (s *Store) Uses() []Use {
	type used struct {
		Use
		tick int64
	}
	var all []used
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.RLock()
		for _, e := range sh.table.entries {
			if e != nil {
				all = append(all, used{Use{e.rec.Load().key(), e.class == served, e.again()}, e.used.Load()})
			}
		}
		sh.mu.RUnlock()
	}
	slices.SortFunc(all, func(a, b used) int { return cmp.Compare(a.tick, b.tick) })
	uses := make([]Use, len(all))
	for i := range all {
		uses[i] = all[i].Use
	}
	return uses
}

// again reports whether the session was used since it was created. Of what never
// goes with the newcomers it is as good as known. The shard is locked.
func (e *entry) again() bool { return e.class != newcomer }
