package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// RunEviction runs the suite for a store that keeps limits by itself.
func RunEviction(t *testing.T, open Open) {
	t.Helper()
	relaxCollector(t)
	t.Run("LRU", func(t *testing.T) { testLRU(t, open) })
	t.Run("TTL", func(t *testing.T) { testTTL(t, open) })
	t.Run("None", func(t *testing.T) { testNone(t, open) })
	t.Run("Bytes", func(t *testing.T) { testBytes(t, open) })
	t.Run("Events", func(t *testing.T) { testEvictionEvents(t, open) })
	t.Run("Reserve", func(t *testing.T) { testReserve(t, open) })
	t.Run("Requests", func(t *testing.T) { testRequestLimits(t, open) })
	t.Run("Imported", func(t *testing.T) { testImported(t, open) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrentEviction(t, open) })
	t.Run("Model", func(t *testing.T) { testEvictionModel(t, open) })
}

// fill stores n sessions, the first being the oldest.
func (f *fixture) fill(n int) []schema.Session {
	f.t.Helper()
	sessions := make([]schema.Session, n)
	for i := range sessions {
		sessions[i] = f.created(spec{id: testID(i)})
	}
	return sessions
}

// left returns the numbers of the sessions of fill that are still there.
func (f *fixture) left(sessions []schema.Session) []int {
	f.t.Helper()
	numbers := []int{}
	for i, s := range sessions {
		if _, err := f.Peek(f.ctx(), f.now(), s.Key()); err == nil {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

func testLRU(t *testing.T, open Open) {
	limits := Limits{Policy: "lru", MaxEntries: 4}

	for name, c := range map[string]struct {
		use    func(f *fixture, s schema.Session)
		victim int
	}{
		"nothing": {func(*fixture, schema.Session) {}, 0},
		"Get":     {func(f *fixture, s schema.Session) { f.get(s.Key()) }, 1},
		"Peek": {func(f *fixture, s schema.Session) {
			_, err := f.Peek(f.ctx(), f.now(), s.Key())
			require.NoError(f.t, err)
		}, 0},
		"Touch that moves nothing": {func(f *fixture, s schema.Session) {
			_, err := f.Touch(f.ctx(), f.now(), s.Key(), f.now())
			require.NoError(f.t, err)
		}, 1},
		"Swap": {func(f *fixture, s schema.Session) {
			_, err := f.Swap(f.ctx(), f.now(), s, f.revised(s, spec{}))
			require.NoError(f.t, err)
		}, 1},
		"Update that changes nothing": {func(f *fixture, s schema.Session) {
			sessions := store.NewSessions(f.Store, new(schema.Rules), store.Lifetimes{TTL: ttl}, store.UserLimit{})
			got, moved, err := sessions.Update(f.ctx(), f.now(), s.Key(), store.Update{Change: new(schema.Input), Slide: true})
			require.NoError(f.t, err)
			require.False(f.t, moved)
			requireSame(f.t, s, got)
		}, 1},
		"List": {func(f *fixture, _ schema.Session) { f.all() }, 0},
		"failed Create": {func(f *fixture, s schema.Session) {
			require.ErrorIs(f.t, f.Create(f.ctx(), f.now(), s), backend.ErrExists)
		}, 0},
	} {
		t.Run("use: "+name, func(t *testing.T) {
			f := newLimited(t, open, limits)
			sessions := f.fill(4)
			c.use(f, sessions[0])
			f.created(spec{})
			assert.Equal(t, slices.DeleteFunc([]int{0, 1, 2, 3}, func(n int) bool { return n == c.victim }), f.left(sessions))
			st := f.stats()
			assert.EqualValues(t, 1, st.Evictions)
			assert.EqualValues(t, 4, st.Entries)
			assert.EqualValues(t, 4, st.MaxEntries)
		})
	}

	t.Run("a read in the grace uses the successor", func(t *testing.T) {
		f := newLimited(t, open, limits)
		sessions := f.fill(4)
		next := f.regenerated(sessions[0], time.Minute)
		for _, s := range sessions[1:] {
			f.get(s.Key())
		}
		f.get(sessions[0].Key())
		f.created(spec{})
		f.requireStored(next)
		assert.Equal(t, []int{0, 2, 3}, f.left(sessions), "the first by its grace")
	})

	t.Run("what nobody asked for goes first, until it is written to", func(t *testing.T) {
		f := newLimited(t, open, limits)
		sessions := f.fill(2)
		var unasked []schema.Session
		create := func() {
			s := f.session(spec{})
			s.Disposable = true
			require.NoError(f.t, f.Create(f.ctx(), f.now(), s))
			unasked = append(unasked, s)
		}
		create()
		create()
		f.get(unasked[0].Key()) // among themselves, they go as others do
		for range 10 {
			create()
			f.get(unasked[len(unasked)-1].Key())
		}
		assert.Equal(t, []int{0, 1}, f.left(sessions), "a crowd of them has pushed out only one another")
		assert.Equal(t, []int{10, 11}, f.left(unasked))

		written, err := f.Swap(f.ctx(), f.now(), unasked[10], f.revised(unasked[10], spec{}))
		require.NoError(t, err)
		f.created(spec{})
		assert.Equal(t, []int{10}, f.left(unasked))
		f.created(spec{})
		assert.Equal(t, []int{1}, f.left(sessions))
		f.requireStored(written)
	})

	t.Run("in the order of how much each is somebody's", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 6})
		user := f.created(spec{user: "ada"})
		made, served := f.made(), f.made()
		require.NoError(t, f.Create(f.ctx(), f.now(), made))
		require.NoError(t, f.Create(f.ctx(), f.now(), served))
		read, renewed, once := f.created(spec{}), f.created(spec{}), f.created(spec{namespace: "shop"})
		served = f.regenerated(served, 0)
		f.get(read.Key())
		renewed = f.regenerated(renewed, 0)
		f.get(read.Key())
		left := func() []string {
			var names []string
			for name, s := range map[string]schema.Session{
				"user": user, "served": served, "made": made, "read": read, "renewed": renewed, "once": once,
			} {
				if _, err := f.Peek(f.ctx(), f.now(), s.Key()); err == nil {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			return names
		}
		f.created(spec{}) // an anonymous one, once used; each later one takes its place
		assert.Equal(t, []string{"made", "read", "renewed", "served", "user"}, left())
		for range 60 {
			f.created(spec{})
		}
		assert.Equal(t, []string{"made", "read", "renewed", "served", "user"}, left(), "a flood pushes out itself")
		for _, want := range [][]string{
			{"made", "read", "renewed", "served", "user"},
			{"made", "read", "served", "user"},
			{"made", "served", "user"},
			{"served", "user"},
			{"user"},
			nil,
		} {
			f.created(spec{user: "bob"})
			assert.Equal(t, want, left())
		}
	})

	t.Run("whoever gets or loses a user changes place", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 3})
		in, out := f.created(spec{}), f.created(spec{user: "ada"})
		other := f.created(spec{})
		f.get(other.Key())
		in, err := f.Swap(f.ctx(), f.now(), in, f.revised(in, spec{user: "bob"}))
		require.NoError(t, err)
		out, err = f.Swap(f.ctx(), f.now(), out, f.revised(out, spec{}))
		require.NoError(t, err)
		for range 10 {
			f.created(spec{})
		}
		f.requireGone(other.Key())
		f.requireStored(in)
		f.requireStored(out)
		for range 2 {
			f.created(spec{user: "cy"})
		}
		f.requireGone(out.Key())
		f.requireStored(in)
	})

	t.Run("a store full of regulars still takes newcomers", func(t *testing.T) {
		const size = 160
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: size})
		sessions := f.fill(size)
		for _, s := range sessions {
			f.get(s.Key())
		}
		newcomers := make([]schema.Session, size)
		for i := range newcomers {
			newcomers[i] = f.created(spec{id: testID(1000 + i)})
		}
		assert.Len(t, f.left(sessions), size-size/16-1)
		assert.Len(t, f.left(newcomers), size/16+1)
	})

	t.Run("eviction ends a grace", func(t *testing.T) {
		f := newLimited(t, open, limits)
		old := f.created(spec{})
		f.regenerated(old, time.Minute)
		for range 4 {
			f.created(spec{user: "ada"})
		}
		f.requireGone(old.Key())
	})

	t.Run("what has expired goes first", func(t *testing.T) {
		f := newLimited(t, open, limits)
		sessions := f.fill(3)
		expired := f.created(spec{ttl: time.Second})
		f.get(expired.Key())
		f.clock.Advance(time.Second)
		f.created(spec{})
		assert.Equal(t, []int{0, 1, 2}, f.left(sessions))
		st := f.stats()
		assert.Zero(t, st.Evictions)
		assert.EqualValues(t, 1, st.Expirations)
	})

	t.Run("a sweep changes no order", func(t *testing.T) {
		half := soaktest.Times(200, 1000)
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 2 * half})
		sessions := f.fill(2 * half)
		for n := range half {
			f.get(sessions[half+n].Key())
		}
		for n := range half {
			f.get(sessions[n*7%half].Key())
		}
		f.sweep()
		for n := range half * 3 / 2 {
			created := f.created(spec{id: testID(10_000 + n)})
			f.get(created.Key())
		}
		want := []int{}
		for n := range half / 2 { // the last ones read
			want = append(want, (half/2+n)*7%half)
		}
		slices.Sort(want)
		assert.Equal(t, want, f.left(sessions))
	})
}

func testTTL(t *testing.T, open Open) {
	t.Run("soonest expiry, then least recently written", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "ttl", MaxEntries: 5})
		sessions := make([]schema.Session, 5)
		for i, seconds := range []int{20, 10, 30, 10, 10} {
			sessions[i] = f.created(spec{id: testID(i), ttl: time.Duration(seconds) * time.Second})
		}
		_, err := f.Swap(f.ctx(), f.now(), sessions[1], f.revised(sessions[1], spec{note: "written"}))
		require.NoError(t, err)
		for range 3 {
			f.get(sessions[3].Key()) // reads do not count
		}
		for _, want := range [][]int{{0, 1, 2, 4}, {0, 1, 2}, {0, 2}, {2}, {}} {
			f.created(spec{ttl: ttl})
			assert.Equal(t, want, f.left(sessions))
		}
	})

	t.Run("those with a user last", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "ttl", MaxEntries: 4})
		users := []schema.Session{
			f.created(spec{id: testID(0), user: "ada", ttl: time.Second}),
			f.created(spec{id: testID(1), user: "bob", ttl: 2 * time.Second}),
		}
		in, out := f.created(spec{}), f.created(spec{user: "cy", ttl: time.Second})
		in, err := f.Swap(f.ctx(), f.now(), in, f.revised(in, spec{user: "dee"}))
		require.NoError(t, err)
		out, err = f.Swap(f.ctx(), f.now(), out, f.revised(out, spec{}))
		require.NoError(t, err)
		for range 40 {
			f.created(spec{})
		}
		f.requireGone(out.Key())
		assert.Equal(t, []int{0, 1}, f.left(users))
		f.created(spec{user: "eve"})
		assert.Equal(t, []int{0, 1}, f.left(users))
		f.created(spec{user: "eve"})
		assert.Equal(t, []int{1}, f.left(users))
		f.requireStored(in)
	})

	t.Run("many with one deadline", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "ttl", MaxEntries: 300})
		sessions := f.fill(300)
		for n := range 150 {
			f.created(spec{id: testID(1000 + n)})
		}
		want := []int{}
		for n := 150; n < 300; n++ {
			want = append(want, n)
		}
		assert.Equal(t, want, f.left(sessions))
	})

	t.Run("a touch counts", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "ttl", MaxEntries: 3})
		sessions := f.fill(3)
		f.clock.Advance(time.Second)
		_, err := f.Touch(f.ctx(), f.now(), sessions[0].Key(), f.now().Add(ttl))
		require.NoError(t, err)
		f.created(spec{})
		assert.Equal(t, []int{0, 2}, f.left(sessions))
	})
}

func testNone(t *testing.T, open Open) {
	f := newLimited(t, open, Limits{Policy: "none", MaxEntries: 3})
	sessions := f.fill(3)
	require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
	require.ErrorIs(t, f.Create(f.ctx(), f.now(), sessions[0]), backend.ErrExists)
	assert.Equal(t, []int{0, 1, 2}, f.left(sessions))
	assert.Zero(t, f.stats().Evictions)

	// Nothing else is in the way of the sessions that there are.
	next := f.revised(sessions[0], spec{note: "new"})
	_, err := f.Swap(f.ctx(), f.now(), sessions[0], next)
	require.NoError(t, err)
	f.regenerated(next, 0)

	require.NoError(t, f.Delete(f.ctx(), f.now(), sessions[1].Key(), 0))
	short := f.created(spec{ttl: time.Second})
	require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
	f.clock.Advance(time.Second)
	f.created(spec{})
	f.requireGone(short.Key())
	assert.EqualValues(t, 1, f.stats().Expirations)
}

func testBytes(t *testing.T, open Open) {
	note := func(n int) string { return string(slices.Repeat([]byte("x"), n)) }
	cost := costOf(t, open)
	scratch := newFixture(t, open)
	unit := cost(scratch.session(spec{id: testID(0), note: note(1000)}))

	t.Run("evicts as many as it takes", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxBytes: 5 * unit})
		sessions := make([]schema.Session, 5)
		for i := range sessions {
			sessions[i] = f.created(spec{id: testID(i), note: note(1000)})
		}
		assert.Equal(t, 5*unit, f.stats().Bytes)
		f.created(spec{id: testID(5), note: note(2500)})
		assert.Equal(t, []int{3, 4}, f.left(sessions))
		assert.EqualValues(t, 3, f.stats().Evictions)
	})

	t.Run("growing evicts others", func(t *testing.T) {
		for _, policy := range []string{"lru", "ttl"} {
			f := newLimited(t, open, Limits{Policy: policy, MaxBytes: 3 * unit})
			sessions := make([]schema.Session, 3)
			for i := range sessions {
				sessions[i] = f.created(spec{id: testID(i), note: note(1000)})
			}
			next := f.revised(sessions[0], spec{note: note(1500)})
			_, err := f.Swap(f.ctx(), f.now(), sessions[0], next)
			require.NoError(t, err)
			f.requireStored(next)
			assert.Equal(t, []int{0, 2}, f.left(sessions), policy)
		}
	})

	t.Run("growing is refused where nothing may go", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "none", MaxBytes: 2 * unit})
		first := f.created(spec{id: testID(0), note: note(1000)})
		f.created(spec{id: testID(1), note: note(1000)})
		_, err := f.Swap(f.ctx(), f.now(), first, f.revised(first, spec{note: note(1001)}))
		require.ErrorIs(t, err, backend.ErrFull)
		f.requireStored(first)
		smaller := f.revised(first, spec{note: note(999)})
		_, err = f.Swap(f.ctx(), f.now(), first, smaller)
		require.NoError(t, err)
		f.requireStored(smaller)
	})

	t.Run("nobody goes for what can never fit", func(t *testing.T) {
		for _, policy := range []string{"lru", "ttl", "none"} {
			f := newLimited(t, open, Limits{Policy: policy, MaxEntries: 2, MaxBytes: 2 * unit})
			sessions := []schema.Session{
				f.created(spec{id: testID(0), note: note(800)}),
				f.created(spec{id: testID(1), note: note(800)}),
			}
			require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{note: note(5000)})), backend.ErrFull)
			_, err := f.Swap(f.ctx(), f.now(), sessions[0], f.revised(sessions[0], spec{note: note(5000)}))
			require.ErrorIs(t, err, backend.ErrFull)
			assert.Equal(t, []int{0, 1}, f.left(sessions), policy)
			f.requireStored(sessions[0])
		}
	})
}
