package bolt

import (
	"maps"
	"slices"
	"sync"

	"session-api/internal/store/backend"
)

// graces are the old keys that lead to a successor, as the file has them. The
// store in memory decides by its own; these are here to know what to write when
// a session ends.
type graces struct {
	mu    sync.Mutex
	byOld map[backend.Key]grace
	byNew map[backend.Key]backend.Key
}

type grace struct {
	to    backend.Key
	until int64
}

func (g *graces) init() {
	g.byOld = make(map[backend.Key]grace)
	g.byNew = make(map[backend.Key]backend.Key)
}

// set makes old lead to the successor, alone.
func (g *graces) set(old backend.Key, to grace) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(old)
	if before, ok := g.byNew[to.to]; ok {
		g.drop(before)
	}
	g.byOld[old] = to
	g.byNew[to.to] = old
}

// to returns the key that leads to the session of the key, and until when.
func (g *graces) to(key backend.Key) (old backend.Key, until int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old, ok = g.byNew[key]
	return old, g.byOld[old].until, ok
}

// leads reports whether the key leads to a session.
func (g *graces) leads(old backend.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.byOld[old]
	return ok
}

// of returns where the key leads.
func (g *graces) of(old backend.Key) (to grace, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to, ok = g.byOld[old]
	return to, ok
}

// olds returns the keys that lead to a session.
func (g *graces) olds() []backend.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.byOld))
}

// is reports whether that is where the key leads.
func (g *graces) is(old backend.Key, to grace) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, ok := g.byOld[old]
	return ok && found == to
}

// leadTo reports whether a key leads to the session of this one.
func (g *graces) leadTo(key backend.Key) bool {
	_, _, ok := g.to(key)
	return ok
}

// endLead ends the grace that leads to the session of the key.
func (g *graces) endLead(key backend.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.byNew[key]; ok {
		g.drop(old)
	}
}

// forget ends the grace of the key, and the one that leads to it. It returns
// the keys that do not lead anywhere any more.
func (g *graces) forget(key backend.Key) (ended []backend.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.byOld[key]; ok {
		ended = append(ended, key)
		g.drop(key)
	}
	if old, ok := g.byNew[key]; ok {
		ended = append(ended, old)
		g.drop(old)
	}
	return ended
}

func (g *graces) drop(old backend.Key) {
	if was, ok := g.byOld[old]; ok {
		delete(g.byOld, old)
		delete(g.byNew, was.to)
	}
}

// sweep ends the graces that have run out at now, and returns their keys.
func (g *graces) sweep(now int64) (ended []backend.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for old, at := range g.byOld {
		if now >= at.until {
			g.drop(old)
			ended = append(ended, old)
		}
	}
	return ended
}
