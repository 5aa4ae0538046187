package memory

import (
	"sync"

	"session-api/internal/store/backend"
)

// grace leads from a key to the session that replaced its own.
type grace struct {
	from  backend.Key
	to    *entry
	hash  uint64 // of the successor's key
	until int64
}

// graces are those of one shard's keys. There is at most one for each stored
// session: when a successor ends or is itself regenerated, its grace goes.
type graces struct {
	mu sync.RWMutex
	of map[backend.Key]grace
}

// find returns the grace of the key, and whether it leads anywhere at now or has
// run out.
func (g *graces) find(key backend.Key, now int64) (found grace, expired, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	found, there := g.of[key]
	return found, there && now >= found.until, there && now < found.until
}

func (g *graces) set(to grace) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = make(map[backend.Key]grace)
	}
	g.of[to.from] = to
}

// forget ends the grace of a key that is taken by a new session.
func (g *graces) forget(key backend.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, key)
}

// drop ends the grace of the key, if it leads to e.
func (g *graces) drop(key backend.Key, e *entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[key].to == e {
		delete(g.of, key)
	}
}

// sweep ends the graces that have run out at now and returns them.
func (g *graces) sweep(now int64) []grace {
	g.mu.Lock()
	defer g.mu.Unlock()
	var expired []grace
	for key, at := range g.of {
		if now >= at.until {
			expired = append(expired, at)
			delete(g.of, key)
		}
	}
	return expired
}

// setGrace makes reads of the old key lead to e until then. Both shards are locked.
func (s *Store) setGrace(sh *shard, old backend.Key, nextSh *shard, nextHash uint64, e *entry, until int64) {
	sh.graces.set(grace{from: old, to: e, hash: nextHash, until: until})
	nextSh.olds.set(e, old)
}

// endGrace makes reads of the old key that leads to e lead nowhere. The shard of e
// is locked.
func (s *Store) endGrace(sh *shard, e *entry) {
	if old, ok := sh.olds.take(e); ok {
		s.shardOf(s.hash(old)).graces.drop(old, e)
	}
}

// oldKeys are the keys in whose grace a shard's sessions are. Most have none.
type oldKeys map[*entry]backend.Key

func (o *oldKeys) set(e *entry, key backend.Key) {
	if *o == nil {
		*o = make(oldKeys)
	}
	(*o)[e] = key
}

// take removes and returns the old key of e.
func (o *oldKeys) take(e *entry) (backend.Key, bool) {
	key, ok := (*o)[e]
	if ok {
		delete(*o, e)
	}
	return key, ok
}

// drop forgets the key of a grace that is over.
func (o oldKeys) drop(expired grace) {
	if o[expired.to] == expired.from {
		delete(o, expired.to)
	}
}
