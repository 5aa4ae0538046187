package storetest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// model is what a store must look like from outside, in the plainest form:
// live sessions in a map.
type model struct {
	live map[backend.Key]schema.Session
	// used is when each session was last used, written when it was last
	// written or touched; in ticks.
	used, written map[backend.Key]int
	// again are the sessions that were used since they were created, and served
	// those that a service created and that never had a user.
	again  map[backend.Key]bool
	served map[backend.Key]bool
	tick   int
	graces map[backend.Key]modelGrace
	// tombs are until when keys are remembered whose sessions are gone, and why
	// says how they went.
	tombs map[backend.Key]time.Time
	// requests are those that have not expired.
	requests map[backend.RequestKey]backend.Request
	why      map[backend.Key]error
	want     backend.Stats // Entries, Bytes and Expirations are worked out

	limits Limits
	cost   func(schema.Session) int64
}

type modelGrace struct {
	to    backend.Key
	until time.Time
}

func newModel() *model {
	return &model{
		live:    map[backend.Key]schema.Session{},
		used:    map[backend.Key]int{},
		written: map[backend.Key]int{},
		again:   map[backend.Key]bool{},
		served:  map[backend.Key]bool{},
		graces:  map[backend.Key]modelGrace{},
		tombs:   map[backend.Key]time.Time{},
		why:     map[backend.Key]error{},

		requests: map[backend.RequestKey]backend.Request{},
		cost:     func(schema.Session) int64 { return 0 },
	}
}

// put stores a session, and counts as a write and a use.
func (m *model) put(s schema.Session) {
	if _, ok := m.live[s.Key()]; ok {
		m.again[s.Key()] = true
	} else if s.Trusted {
		m.served[s.Key()] = true
	}
	if s.UserID != "" {
		delete(m.served, s.Key())
	}
	s.Trusted = false
	m.live[s.Key()] = s
	delete(m.tombs, s.Key())
	m.tick++
	m.used[s.Key()], m.written[s.Key()] = m.tick, m.tick
}

func (m *model) use(key backend.Key) {
	m.tick++
	m.used[key], m.again[key] = m.tick, true
}

// remove ends a session and the graces that lead to it.
func (m *model) remove(key backend.Key) {
	delete(m.live, key)
	delete(m.again, key)
	delete(m.served, key)
	m.endGraces(key)
}

// endGraces ends the graces that lead to the key.
func (m *model) endGraces(key backend.Key) {
	maps.DeleteFunc(m.graces, func(_ backend.Key, g modelGrace) bool { return g.to == key })
}

// bury remembers that the session of the key was gone at that time.
func (m *model) bury(at time.Time, key backend.Key, why error) {
	m.tombs[key], m.why[key] = at.Add(m.limits.Tombstone), why
}

// ended reports whether the session of the key went lately.
func (m *model) ended(now time.Time, key backend.Key) bool { return now.Before(m.tombs[key]) }

// expire removes what has expired at now.
func (m *model) expire(now time.Time) {
	for key, s := range m.live {
		if !s.Live(now) {
			m.remove(key)
			m.bury(s.ExpiresAt, key, backend.ErrLapsed)
			m.want.Expirations++
		}
	}
	maps.DeleteFunc(m.requests, func(_ backend.RequestKey, r backend.Request) bool { return !r.ExpiresAt.After(now) })
}

// find returns the session that a read of the key sees.
func (m *model) find(now time.Time, key backend.Key) (schema.Session, bool) {
	if s, ok := m.live[key]; ok {
		return s, true
	}
	if g, ok := m.graces[key]; ok && now.Before(g.until) {
		return m.live[g.to], true
	}
	return schema.Session{}, false
}

// matching returns the sessions that the filter matches.
func (m *model) matching(f backend.Filter) []schema.Session {
	return m.sorted(func(s schema.Session) bool { return f.Matches(&s) })
}

// sorted returns the sessions that match, in the order of a list.
func (m *model) sorted(match func(schema.Session) bool) []schema.Session {
	var out []schema.Session
	for _, s := range m.live {
		if match(s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b schema.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return out
}

func (m *model) files() []string {
	set := map[string]bool{}
	for _, s := range m.live {
		for _, path := range s.Files {
			set[path] = true
		}
	}
	return slices.AppendSeq([]string{}, maps.Keys(set))
}
