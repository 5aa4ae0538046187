package memory

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// What is here fills a store with what another one kept. The sessions count as
// used in the order in which they come.

// Restore stores a session that was stored before: it is Create, but nothing
// was created, so that there is no event and no count of it. What has to give
// way to it is evicted as ever.
func (s *Store) Restore(now time.Time, sess schema.Session) error {
	return s.add(context.Background(), now, &sess, restore)
}

// RestoreGrace makes reads of the old key lead to the session of the successor's
// key until that time, if there is one, and none of the old key.
func (s *Store) RestoreGrace(old, successor store.Key, until time.Time) {
	hash, nextHash := s.hash(old), s.hash(successor)
	sh, nextSh := s.shardOf(hash), s.shardOf(nextHash)
	unlock := lockBoth(sh, nextSh)
	defer unlock()
	e := nextSh.table.find(nextHash, successor)
	if e != nil && sh.table.find(hash, old) == nil {
		s.lead(sh, old, nextSh, nextHash, e, until.UnixMilli())
	}
}
