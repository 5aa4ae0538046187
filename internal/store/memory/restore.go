package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// What is here fills a store with what another one kept.

// Restore stores a session that was stored before: it is Create, but nothing
// was created, so that there is no event and no count of it. What has to give
// way to it is evicted as ever. The sessions count as used in the order in which
// they come.
func (s *Store) Restore(now time.Time, sess schema.Session) error {
	return s.add(context.Background(), now, &sess, restore)
}

// Filling is an empty store on its way to many sessions, which stay even if there
// are more than the limits allow. Until it is done, the store must not be used
// otherwise.
type Filling struct {
	s     *Store
	mu    sync.Mutex
	added []aged
	last  int64 // use
}

// Restored is a session that was stored before, with its place in the order of
// their uses: from 1 on, each one's own.
type Restored struct {
	schema.Session
	Use int64
	// Served: a service made it. Again: it was used since it was created.
	Served, Again bool
}

// aged is an entry with what lists go by, as far as that fits.
type aged struct {
	created int64
	id      uint64 // how it starts
	e       *entry
}

// Fill begins to fill the store, with about n sessions.
func (s *Store) Fill(n int) *Filling {
	each := n/shardCount + n/shardCount/8 // they are not spread evenly
	for i := range s.shards {
		sh := &s.shards[i]
		sh.table.resize(each*5/4 + 10)
		sh.expiry.items = make([]item, 0, each)
	}
	return &Filling{s: s, added: make([]aged, 0, n)}
}

// Add is Restore of some sessions, with no regard to their order. It may be
// called from many goroutines at once.
func (f *Filling) Add(sessions []Restored) error {
	entries := make([]aged, 0, len(sessions))
	var last int64
	var guests, members amount
	for i := range sessions {
		sess := &sessions[i].Session
		if err := checkDocument(sess.Doc, sess.ID); err != nil {
			return err
		}
		rec := f.s.limited(pack(sess, f.s.namespaces.acquire(sess.Namespace)))
		e := newEntry(rec)
		e.class = f.s.classOf(rec, sessions[i].Served, sessions[i].Again)
		e.used.Store(sessions[i].Use)
		entries = append(entries, aged{rec.created, firstBytes(rec.id()), e})
		if h := rec.usage(); h.guest {
			guests = guests.plus(h.amount)
		} else {
			members = members.plus(h.amount)
		}
		last = max(last, sessions[i].Use)
	}
	f.s.capacity.fill(usage{guests, true})
	f.s.capacity.fill(usage{members, false})
	for i := range entries {
		if err := f.s.fill(sessions[i].Key(), entries[i].e); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added = append(f.added, entries...)
	f.last = max(f.last, last)
	return nil
}

// fill adds e to the table and to the heaps.
func (s *Store) fill(key backend.Key, e *entry) error {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	rec := e.rec.Load()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.table.find(hash, key) != nil {
		return backend.ErrExists
	}
	sh.table.put(hash, e)
	s.population[e.class].Add(1)
	sh.expiry.push(e)
	if s.policy != None {
		sh.eviction[e.class].push(e)
	}
	s.files.add(e, rec.files)
	return nil
}

// Done makes the lists of what was added.
func (f *Filling) Done() {
	f.s.clock.Store(f.last)
	slices.SortFunc(f.added, func(a, b aged) int {
		if c := cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id)); c != 0 {
			return c
		}
		return compareAge(a.e.rec.Load(), b.e.rec.Load())
	})
	spaces := make(map[*namespace][]aged)
	var space *namespace
	var list []aged
	for _, one := range f.added {
		if own := one.e.rec.Load().space; own != space {
			if space != nil {
				spaces[space] = list
			}
			space, list = own, spaces[own]
		}
		list = append(list, one)
	}
	if space != nil {
		spaces[space] = list
	}
	for space, list := range spaces {
		space.fill(list)
	}
}

// fill adds entries in the order of their age to a namespace that has none.
func (n *namespace) fill(entries []aged) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		for _, one := range entries {
			n.all.tree.Load(place{startOfAge(one.created, one.id), one.e})
		}
	})
	both.Go(func() {
		for _, e := range byUser(entries) {
			n.users.Load(e)
		}
	})
	both.Wait()
}

// byUser returns the entries that have a user, in the order of these, and
// otherwise as they came.
func byUser(entries []aged) []*entry {
	type user struct {
		name string
		n    int // how many entries are there of it, and then where the next one's place is
	}
	var users []*user
	of := make(map[string]*user)
	for _, one := range entries {
		name := one.e.rec.Load().user
		if name == "" {
			continue
		}
		u := of[name]
		if u == nil {
			u = &user{name: name}
			of[name] = u
			users = append(users, u)
		}
		u.n++
	}
	slices.SortFunc(users, func(a, b *user) int { return strings.Compare(a.name, b.name) })
	next := 0
	for _, u := range users {
		u.n, next = next, next+u.n
	}
	ordered := make([]*entry, next)
	for _, one := range entries {
		if name := one.e.rec.Load().user; name != "" {
			u := of[name]
			ordered[u.n] = one.e
			u.n++
		}
	}
	return ordered
}

// RestoreGrace makes reads of the old key lead to the session of the successor's
// key until that time, if there is one, and none of the old key.
func (s *Store) RestoreGrace(old, successor backend.Key, until time.Time) {
	hash, nextHash := s.hash(old), s.hash(successor)
	sh, nextSh := s.shardOf(hash), s.shardOf(nextHash)
	unlock := lockBoth(sh, nextSh)
	defer unlock()
	e := nextSh.table.find(nextHash, successor)
	if e != nil && sh.table.find(hash, old) == nil {
		s.setGrace(sh, old, nextSh, nextHash, e, until.UnixMilli())
	}
}
