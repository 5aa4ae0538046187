package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

// made returns a session without a user that a service makes.
func (f *fixture) made() schema.Session {
	f.t.Helper()
	sess := f.session(spec{})
	sess.Trusted = true
	return sess
}

func testReserve(t *testing.T, open Open) {
	limits := func(policy string) Limits { return Limits{Policy: policy, MaxEntries: 10, Reserve: 30} }

	t.Run("guests cannot take it", func(t *testing.T) {
		f := newLimited(t, open, limits("none"))
		f.fill(7)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{}), backend.Revive), backend.ErrFull)
		f.created(spec{user: "ada"})
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{namespace: "shop"})), backend.ErrFull, "it is nobody's there, too")
		require.NoError(t, f.Create(f.ctx(), f.now(), f.made()), "a service may")
		f.created(spec{user: "bob", namespace: "shop"})
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{user: "ada"})), backend.ErrFull)
		assert.EqualValues(t, 10, f.stats().Entries)
	})

	t.Run("others may take more than that", func(t *testing.T) {
		for _, policy := range []string{"lru", "ttl", "none"} {
			f := newLimited(t, open, limits(policy))
			for range 10 {
				f.created(spec{user: "ada"})
			}
			assert.EqualValues(t, 10, f.stats().Entries)
			assert.Zero(t, f.stats().Evictions)
		}
	})

	t.Run("over their share, guests push out one another", func(t *testing.T) {
		for _, policy := range []string{"lru", "ttl"} {
			f := newLimited(t, open, limits(policy))
			users := []schema.Session{
				f.created(spec{id: testID(0), user: "ada", ttl: time.Second}), f.created(spec{id: testID(1), user: "bob", ttl: time.Second}),
			}
			for range 100 {
				f.created(spec{})
			}
			assert.Equal(t, []int{0, 1}, f.left(users), policy)
			st := f.stats()
			assert.EqualValues(t, 9, st.Entries, policy)
			assert.EqualValues(t, 93, st.Evictions, policy)
			f.created(spec{user: "cy"})
			assert.EqualValues(t, 93, f.stats().Evictions, "there was room for a user, whatever the flood")
		}
	})

	t.Run("users give way to guests beyond it, and not below", func(t *testing.T) {
		f := newLimited(t, open, limits("lru"))
		users := make([]schema.Session, 10)
		for i := range users {
			users[i] = f.created(spec{id: testID(i), user: "ada"})
		}
		for range 100 {
			f.created(spec{})
		}
		assert.Len(t, f.left(users), 9, "one guest at a time is enough")
	})

	t.Run("signing in and out", func(t *testing.T) {
		f := newLimited(t, open, limits("none"))
		sessions := f.fill(7)
		in, err := f.Swap(f.ctx(), f.now(), sessions[0], f.revised(sessions[0], spec{user: "ada"}))
		require.NoError(t, err)
		f.created(spec{}) // in its place
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
		out, err := f.Swap(f.ctx(), f.now(), in, f.revised(in, spec{note: "bye"}))
		require.NoError(t, err, "nobody is refused for losing a user")
		require.NoError(t, f.Delete(f.ctx(), f.now(), sessions[1].Key(), 0))
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull, "there are seven others")
		f.regenerated(out, 0)
		require.NoError(t, f.Delete(f.ctx(), f.now(), sessions[2].Key(), 0))
		f.created(spec{})
	})

	t.Run("what has expired makes room", func(t *testing.T) {
		f := newLimited(t, open, limits("none"))
		for range 7 {
			f.created(spec{ttl: time.Second})
		}
		f.clock.Advance(time.Second)
		f.fill(7)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
	})

	t.Run("too small a store has none", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "none", MaxEntries: 9, Reserve: 10})
		f.fill(9)
	})

	t.Run("in bytes", func(t *testing.T) {
		cost := costOf(t, open)
		note := strings.Repeat("x", 1000)
		unit := cost(newFixture(t, open).session(spec{note: note}))
		for _, policy := range []string{"lru", "none"} {
			f := newLimited(t, open, Limits{Policy: policy, MaxBytes: 10*unit + 99, Reserve: 30})
			sessions := make([]schema.Session, 7)
			for i := range sessions {
				sessions[i] = f.created(spec{id: testID(i), note: note})
			}
			next := f.revised(sessions[0], spec{note: note + note})
			_, err := f.Swap(f.ctx(), f.now(), sessions[0], next)
			if policy == "lru" {
				require.NoError(t, err)
				assert.Equal(t, []int{0, 2, 3, 4, 5, 6}, f.left(sessions))
			} else {
				require.ErrorIs(t, err, backend.ErrFull)
				next.Trusted = true
				_, err = f.Swap(f.ctx(), f.now(), sessions[0], next)
				require.NoError(t, err, "a service may")
			}
			large := f.session(spec{note: strings.Repeat(note, 11)})
			require.ErrorIs(t, f.Create(f.ctx(), f.now(), large), backend.ErrFull, "it would need the reserve alone")
			assert.Len(t, f.left(sessions), map[string]int{"lru": 6, "none": 7}[policy], "nobody goes for that")
		}
	})

	t.Run("a flood leaves users alone", func(t *testing.T) {
		each := soaktest.Times(100, 250)
		for _, policy := range []string{"lru", "ttl", "none"} {
			f := newLimited(t, open, Limits{Policy: policy, MaxEntries: 200, Reserve: 10})
			users := make([]schema.Session, 20)
			for i := range users {
				users[i] = f.created(spec{id: testID(i), user: "ada", ttl: time.Minute})
			}
			together(8, func(worker int) {
				for n := range each {
					err := f.Create(f.ctx(), f.now(), f.session(spec{id: testID(10_000 + 1000*worker + n)}))
					if policy != "none" || !errors.Is(err, backend.ErrFull) {
						assert.NoError(t, err)
					}
					if worker == 0 && n%50 == 0 { // signs in, and out again
						sess := f.session(spec{user: "bob", id: testID(100 + n)})
						if policy == "none" { // the reserve is the users' already
							continue
						}
						assert.NoError(t, f.Create(f.ctx(), f.now(), sess))
						assert.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
					}
				}
			})
			assert.Len(t, f.left(users), len(users), policy)
		}
	})

	t.Run("visitors sign in during a flood", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 100, Reserve: 10})
		var users []schema.Session
		for range 50 {
			for range soaktest.Times(5, 20) {
				f.created(spec{})
			}
			visitor := f.created(spec{})
			in, err := f.Swap(f.ctx(), f.now(), visitor, f.revised(visitor, spec{user: "ada"}))
			require.NoError(t, err)
			users = append(users, in)
		}
		assert.Len(t, f.left(users), 50)
		assert.False(t, slices.ContainsFunc(users, func(s schema.Session) bool { return s.UserID == "" }))
	})
}
