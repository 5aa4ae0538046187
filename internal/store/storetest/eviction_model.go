package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// makeRoom does to the model what the store does before it stores next in the
// place of old, or beside the others where old is nil.
func (m *model) makeRoom(now time.Time, old *schema.Session, next schema.Session) error {
	entries, grows := 1, m.cost(next)
	if old != nil {
		entries, grows = 0, grows-m.cost(m.live[old.Key()])
	}
	if m.limits.MaxBytes > 0 && grows > 0 && m.cost(next) > m.limits.MaxBytes {
		return store.ErrFull
	}
	for !m.fits(entries, grows) {
		if m.limits.Policy == "none" {
			return store.ErrFull
		}
		victim := m.victim(old)
		m.remove(victim)
		m.bury(now, victim, store.ErrLapsed)
		m.want.Evictions++
	}
	return nil
}

func (m *model) fits(entries int, grows int64) bool {
	var bytes int64
	for _, s := range m.live {
		bytes += m.cost(s)
	}
	tooMany := m.limits.MaxEntries > 0 && entries > 0 && len(m.live)+entries > m.limits.MaxEntries
	tooMuch := m.limits.MaxBytes > 0 && grows > 0 && bytes+grows > m.limits.MaxBytes
	return !tooMany && !tooMuch
}

// victim returns the first session in the policy's order other than spare.
func (m *model) victim(spare *schema.Session) store.Key {
	var first schema.Session
	for key, s := range m.live {
		if spare != nil && key == spare.Key() {
			continue
		}
		if first.ID == "" || m.before(s, first) {
			first = s
		}
	}
	return first.Key()
}

func (m *model) before(a, b schema.Session) bool {
	if m.limits.Policy == "lru" {
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
				runMachine(t, rt, open, limits, cost)
			})
		})
	}
}
