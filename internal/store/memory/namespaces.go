package memory

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// namespaces are those that have a session, by name.
type namespaces struct {
	mu     sync.RWMutex
	byName map[string]*namespace
}

// namespace is the index of one namespace's sessions.
type namespace struct {
	name string
	// refs counts the entries that belong here, or are about to. It rises only
	// under the lock of the namespaces.
	refs atomic.Int64
	// lastTerms are those that a session which was written lately has, or would
	// have without its files.
	lastDetails atomic.Pointer[details]
	// detailsByFacts are such details of sessions that have facts, by the hash of these.
	// It is nil until there is one.
	detailsByFacts atomic.Pointer[[sharedFacts]atomic.Pointer[details]]

	mu  sync.RWMutex
	all index
	// users has no sessions without a user.
	users index
}

// acquire returns the namespace, which then stays until it is released.
func (n *namespaces) acquire(name string) *namespace {
	n.mu.RLock()
	space := n.byName[name]
	if space != nil {
		space.refs.Add(1)
	}
	n.mu.RUnlock()
	if space != nil {
		return space
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if space = n.byName[name]; space == nil {
		space = newNamespace(name)
		n.byName[name] = space
	}
	space.refs.Add(1)
	return space
}

// find returns the namespace, nil where there is none.
func (n *namespaces) find(name string) *namespace {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byName[name]
}

// names returns the names of those that something belongs to, sorted.
func (n *namespaces) names() []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	names := make([]string, 0, len(n.byName))
	for name, space := range n.byName {
		if space.refs.Load() > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sweep forgets the namespaces that nothing belongs to.
func (n *namespaces) sweep() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, space := range n.byName {
		if space.refs.Load() == 0 {
			delete(n.byName, name)
		}
	}
}

func newNamespace(name string) *namespace {
	return &namespace{name: name, all: newAgeIndex(), users: newUserIndex()}
}

func (n *namespace) release() { n.refs.Add(-1) }

func (n *namespace) add(e *entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.insert(e)
}

func (n *namespace) remove(e *entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.erase(e)
}

// move puts the entry to in the place of e, at once where both are of one
// namespace.
func (n *namespace) move(e *entry, space *namespace, to *entry) {
	if n != space {
		space.add(to)
		n.remove(e)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.erase(e)
	n.insert(to)
}

// setRecord gives e another record and the place that goes with its user.
func (n *namespace) setRecord(e *entry, was, rec *record) {
	if was.user == rec.user {
		e.rec.Store(rec)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.erase(e)
	e.rec.Store(rec)
	n.insert(e)
}

func (n *namespace) insert(e *entry) {
	n.all.Set(e)
	if e.rec.Load().user != "" {
		n.users.Set(e)
	}
}

func (n *namespace) erase(e *entry) {
	n.all.Delete(e)
	if e.rec.Load().user != "" {
		n.users.Delete(e)
	}
}

// scan calls yield with the namespace's sessions in the range, until it returns
// false or there are no more. The namespace is locked meanwhile.
func (n *namespace) scan(r ageRange, yield func(*entry, *record) bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	in := n.all
	if r.user != "" {
		in = n.users
	}
	from := newEntry(r.from.record(r.user))
	next := func(e *entry) bool {
		rec := e.rec.Load()
		switch {
		case r.passed && rec.created == r.from.created && string(rec.id()) == r.from.id:
			return true
		case r.user != "" && rec.user != r.user, !r.reaches(rec):
			return false
		}
		return yield(e, rec)
	}
	if r.oldestFirst {
		in.Descend(from, next)
	} else {
		in.Ascend(from, next)
	}
}

// Namespaces implements backend.Store. Among those that it names are some whose
// last session has expired, or is just being created.
func (s *Store) Namespaces(context.Context, time.Time) ([]string, error) {
	return s.namespaces.names(), nil
}
