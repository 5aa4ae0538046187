package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// makeRoom does to the model what the store does before it stores next in the
// place of old, or beside the others where old is nil.
func (m *model) makeRoom(now time.Time, old *schema.Session, next schema.Session) error {
	entries, grows := 1, m.cost(next)
	if old != nil {
		entries, grows = 0, grows-m.cost(m.live[old.Key()])
	}
	if m.limits.MaxBytes > 0 && grows > 0 && m.cost(next) > m.limits.MaxBytes {
		return backend.ErrFull
	}
	// What was not a guest is not refused for being one.
	bound := isGuest(next) && !next.Trusted && (old == nil || isGuest(m.live[old.Key()]))
	share := m.guestLimits()
	if bound && share.MaxBytes > 0 && grows > 0 && m.cost(next) > share.MaxBytes {
		m.want.Reserved++
		return backend.ErrFull
	}
	all := func(schema.Session) bool { return true }
	for {
		over := bound && !m.fits(share, isGuest, entries, grows)
		if !over && m.fits(m.limits, all, entries, grows) {
			return nil
		}
		if m.limits.Policy == "none" {
			if over {
				m.want.Reserved++
			}
			return backend.ErrFull
		}
		victim := m.victim(old, over)
		m.remove(victim)
		m.bury(now, victim, backend.ErrLapsed)
		m.want.Evictions++
	}
}

// isGuest reports whether a session cannot take the reserve.
func isGuest(s schema.Session) bool { return s.UserID == "" }

// guestLimits are those of guests.
func (m *model) guestLimits() Limits {
	return Limits{
		MaxEntries: m.limits.MaxEntries - m.limits.MaxEntries*m.limits.Reserve/100,
		MaxBytes:   m.limits.MaxBytes - m.limits.MaxBytes/100*int64(m.limits.Reserve),
	}
}

// fits reports whether so much more fits into the limits beside the sessions that
// count.
func (m *model) fits(limits Limits, counts func(schema.Session) bool, entries int, grows int64) bool {
	var bytes int64
	number := 0
	for _, s := range m.live {
		if counts(s) {
			bytes += m.cost(s)
			number++
		}
	}
	tooMany := limits.MaxEntries > 0 && entries > 0 && number+entries > limits.MaxEntries
	tooMuch := limits.MaxBytes > 0 && grows > 0 && bytes+grows > limits.MaxBytes
	return !tooMany && !tooMuch
}

// victim returns the first session in the policy's order other than spare, or the
// first guest.
func (m *model) victim(spare *schema.Session, guestsOnly bool) backend.Key {
	var first schema.Session
	for key, s := range m.live {
		if spare != nil && key == spare.Key() || guestsOnly && !isGuest(s) {
			continue
		}
		if first.ID == "" || m.before(s, first) {
			first = s
		}
	}
	return first.Key()
}

// before is the policy's order. Guests that were not used again have no part of
// the store for themselves: there are too few sessions.
func (m *model) before(a, b schema.Session) bool {
	if isGuest(a) != isGuest(b) {
		return isGuest(a)
	}
	if isGuest(a) && m.served[a.Key()] != m.served[b.Key()] {
		return m.served[b.Key()]
	}
	if m.limits.Policy == "lru" {
		if isGuest(a) && !m.served[a.Key()] && m.again[a.Key()] != m.again[b.Key()] {
			return m.again[b.Key()]
		}
		return m.used[a.Key()] < m.used[b.Key()]
	}
	if c := a.ExpiresAt.Compare(b.ExpiresAt); c != 0 {
		return c < 0
	}
	return m.written[a.Key()] < m.written[b.Key()]
}

// costOf returns what sessions take of a byte budget, as the store says.
func costOf(t *testing.T, open Open) func(schema.Session) int64 {
	t.Helper()
	f := newFixture(t, open)
	return func(s schema.Session) int64 {
		before := f.stats().Bytes
		require.NoError(t, f.Create(f.ctx(), s.CreatedAt, s))
		cost := f.stats().Bytes - before
		require.NoError(t, f.Delete(f.ctx(), s.CreatedAt, s.Key(), 0))
		return cost
	}
}

func testEvictionModel(t *testing.T, open Open) {
	for _, policy := range []string{"lru", "ttl", "none"} {
		t.Run(policy, func(t *testing.T) {
			cost := costOf(t, open)
			rapid.Check(t, func(rt *rapid.T) {
				limits := Limits{Policy: policy, Tombstone: drawWindow(rt)}
				limits.MaxEntries = rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(rt, "entries")
				if limits.MaxEntries == 0 || rapid.Bool().Draw(rt, "both") {
					limits.MaxBytes = rapid.Int64Range(500, 5000).Draw(rt, "bytes")
				}
				limits.Reserve = rapid.SampledFrom([]int{0, 10, 25, 50}).Draw(rt, "reserve")
				runMachine(t, rt, open, limits, cost)
			})
		})
	}
}
