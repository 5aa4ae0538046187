package memory

import "math"

// class is how readily a session gives way to others. All of a lower class go
// before any of a higher one, but for newcomerShare.
type class uint8

const (
	// newcomer: a visitor's session that was not used since it was created. Under
	// the policy TTL, which knows no uses, every visitor's.
	newcomer class = iota
	// regular: a visitor's session that was used again, or that has lost its user.
	regular
	// served: a session without a user that a service made.
	served
	// member: a session with a user.
	member

	classes
	// anyClass is no class of an entry: a heap of this one has all entries.
	anyClass = classes
)

// newcomerShare: regulars give way to newcomers while these are fewer than one in
// so many of the visitors' sessions. Otherwise a store that is full of visitors
// who are long gone would keep no new session for long enough to be used again.
const newcomerShare = 16

// guest reports whether the session has no user. Guests cannot take the reserve,
// unless a service makes them.
func (r *record) guest() bool { return r.user == "" }

// classOf returns the class of a record whose session a service made, or was used
// again, or neither.
func (s *Store) classOf(rec *record, made, again bool) class {
	switch {
	case !rec.guest():
		return member
	case made:
		return served
	case again && s.policy == LRU:
		return regular
	default:
		return newcomer
	}
}

// promote notes that a newcomer was used again, unless it has gone meanwhile.
func (s *Store) promote(sh *shard, e *entry) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e.rec.Load() != nil {
		s.usedAgain(sh, e)
	}
}

// usedAgain is a use of e, which makes a newcomer a regular, unless it is
// disposable. The shard is locked.
func (s *Store) usedAgain(sh *shard, e *entry) {
	switch {
	case !s.isNewcomer(e):
		s.use(e)
	case e.disposable():
		s.useNewcomer(e)
	default:
		s.reclass(sh, e, regular)
	}
}

// reclass moves e to the heap of another class, which counts as a use or, under
// TTL, as a write. The shard is locked.
func (s *Store) reclass(sh *shard, e *entry, to class) {
	s.population[e.class].Add(-1)
	s.population[to].Add(1)
	if s.policy == None {
		e.class = to
		return
	}
	s.announceOrder(sh, e.rec.Load(), to)
	e.use(s.clock.Add(1))
	from := e.class
	e.class = to
	sh.eviction[from].ended()
	sh.eviction[to].push(e)
	sh.compact()
}

// announceOrder lowers the bound of a class's heap for a record that is about to
// come in or to move there.
func (s *Store) announceOrder(sh *shard, rec *record, c class) {
	switch s.policy {
	case LRU:
		sh.eviction[c].announce(s.clock.Load())
	case TTL:
		sh.eviction[c].announce(rec.expires)
	case None:
	}
}

// nextClass returns the class that the next victim is of; false where there is
// none, or none of a guest where only guests may go.
func (s *Store) nextClass(guestsOnly bool) (class, bool) {
	newcomers, regulars := s.mayEvict(newcomer), s.mayEvict(regular)
	switch {
	case newcomers && (!regulars || s.newcomersAbound() || s.hasDisposable()):
		return newcomer, true
	case regulars:
		return regular, true
	case s.mayEvict(served):
		return served, true
	}
	return member, !guestsOnly && s.mayEvict(member)
}

// mayEvict reports whether there may be a session of the class to evict. The
// population alone does not tell: one may be spared.
func (s *Store) mayEvict(c class) bool {
	return s.population[c].Load() > 0 && s.evictionBounds[c].any()
}

// hasDisposable reports whether a newcomer is disposable: those are used less
// recently than all others.
func (s *Store) hasDisposable() bool {
	bounds := &s.evictionBounds[newcomer]
	return s.policy == LRU && !bounds.above(-1) && bounds.min() < 0
}

// newcomersAbound reports whether they have more than their share.
func (s *Store) newcomersAbound() bool {
	newcomers := s.population[newcomer].Load()
	return newcomers > (newcomers+s.population[regular].Load())/newcomerShare
}

// notYetUsed is the tick of a disposable session before it has one.
const notYetUsed = math.MinInt64
