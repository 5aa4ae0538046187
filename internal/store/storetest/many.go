package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// testMany holds what other groups say of a few sessions, events or files to where
// there are more than a store handles at a time: more than one batch of a scan or of
// a change, more than one page of an index, more events than are kept. The numbers
// are beyond the batches of every store. These cases cost as much as a whole group
// each, and say of one more way to a store only what they say of the first.
func testMany(t *testing.T, open Open) {
	t.Run("Expiry", func(t *testing.T) { testManyExpiry(t, open) })
	t.Run("LimitLife", func(t *testing.T) { testManyLimitLife(t, open) })
	t.Run("Tombstones", func(t *testing.T) { testManyTombstones(t, open) })
	t.Run("List", func(t *testing.T) { testManyList(t, open) })
	t.Run("Count", func(t *testing.T) { testManyCount(t, open) })
	t.Run("Clear", func(t *testing.T) { testManyClear(t, open) })
	t.Run("Files", func(t *testing.T) { testManyFiles(t, open) })
	t.Run("Events", func(t *testing.T) { testManyEvents(t, open) })
	t.Run("Follow", func(t *testing.T) { testManyFollow(t, open) })
}

func testManyExpiry(t *testing.T, open Open) {
	f := newFixture(t, open)
	const many = 700
	f.createdTogether(many, func(int) spec { return spec{ttl: time.Minute} })
	stays := f.created(spec{ttl: time.Minute + time.Millisecond})
	assert.Zero(t, f.sweep())
	f.clock.Advance(time.Minute)
	assert.Equal(t, many, f.sweep())
	assert.Zero(t, f.sweep())
	st := f.stats()
	assert.EqualValues(t, 1, st.Entries)
	assert.EqualValues(t, many, st.Expirations)
	f.requireStored(stays)
}

func testManyLimitLife(t *testing.T, open Open) {
	const limit = 30 * time.Minute
	f := newFixture(t, open)
	const many = 700
	f.createdTogether(many, func(int) spec { return spec{} })
	f.clock.Advance(limit)
	stays := f.created(spec{})
	f.LimitLife(limit)
	assert.Equal(t, many, f.sweep())
	assert.Equal(t, []string{stays.ID}, f.all())
	assert.EqualValues(t, 1, f.stats().Entries)
}

func testManyTombstones(t *testing.T, open Open) {
	f := newRemembering(t, open)
	const many = 500
	f.createdTogether(many, func(n int) spec { return spec{id: testID(n), user: "ada"} })
	n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
	require.NoError(t, err)
	require.Equal(t, many, n)
	for n := range many {
		late := f.session(spec{id: testID(n)})
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), late), backend.ErrEnded)
	}
	f.requireEmpty()
}

func testManyList(t *testing.T, open Open) {
	t.Run("by user and namespace", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.now()
		var ada, bob, all []string
		f.createdTogether(600, func(n int) spec {
			sp := spec{id: testID(n), createdAt: start.Add(-time.Duration(n) * time.Millisecond)}
			switch n % 3 {
			case 0:
				sp.user = "ada"
				ada = append(ada, sp.id)
			case 1:
				sp.user = "bob"
				bob = append(bob, sp.id)
			}
			all = append(all, sp.id)
			return sp
		})
		elsewhere := f.created(spec{namespace: "shop", user: "ada"})
		query := func(namespace, user string) []string {
			return f.listBoth(backend.Query{Namespace: namespace, UserID: user, Limit: 70})
		}
		assert.Equal(t, ada, query(schema.DefaultNamespace, "ada"))
		assert.Equal(t, bob, query(schema.DefaultNamespace, "bob"))
		assert.Equal(t, all, query(schema.DefaultNamespace, ""))
		assert.Empty(t, query(schema.DefaultNamespace, "ad"))
		assert.Empty(t, query(schema.DefaultNamespace, "adaa"))
		assert.Equal(t, []string{elsewhere.ID}, query("shop", "ada"))
		assert.Equal(t, []string{elsewhere.ID}, query("shop", ""))
		assert.Empty(t, query("empty", ""))
		assert.Empty(t, query("shop", "bob"))
	})

	t.Run("expired sessions neither fill nor end a page", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.now()
		var want []string
		f.createdTogether(700, func(n int) spec {
			sp := spec{id: testID(n), createdAt: start.Add(-time.Duration(n) * time.Second), ttl: time.Minute}
			if n%350 == 349 {
				sp.ttl = ttl
				want = append(want, sp.id)
			}
			return sp
		})
		f.clock.Advance(time.Minute)
		assert.Equal(t, want, f.listBoth(backend.Query{Namespace: schema.DefaultNamespace, Limit: 1}))
		assert.Equal(t, want, f.listBoth(backend.Query{Namespace: schema.DefaultNamespace, Limit: 2}))
	})
}

func testManyCount(t *testing.T, open Open) {
	f := newFixture(t, open)
	assert.Zero(t, f.count(backend.Filter{Namespace: schema.DefaultNamespace}))
	assert.Zero(t, f.count(backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada", Except: testID(0)}))
	const many = 1800
	users := []string{"ada", "bob", "ada", "", "adam", "ad"}
	f.createdTogether(many, func(n int) spec {
		return spec{id: testID(n), user: users[n%len(users)], createdAt: f.now().Add(-time.Duration(n/3) * time.Second)}
	})
	for n := range 5 {
		f.created(spec{namespace: "shop", id: testID(n), user: "ada"})
	}
	for name, c := range map[string]struct {
		filter backend.Filter
		want   int
	}{
		"all":                        {backend.Filter{Namespace: schema.DefaultNamespace}, many},
		"all except one":             {backend.Filter{Namespace: schema.DefaultNamespace, Except: testID(1799)}, many - 1},
		"all except none":            {backend.Filter{Namespace: schema.DefaultNamespace, Except: testID(1800)}, many},
		"a user":                     {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"}, 600},
		"a user except one":          {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada", Except: testID(2)}, 599},
		"a user except a strange":    {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada", Except: testID(1)}, 600},
		"a user except none":         {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada", Except: testID(1800)}, 600},
		"the first user":             {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ad"}, 300},
		"the last user":              {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"}, 300},
		"nobody of that name":        {backend.Filter{Namespace: schema.DefaultNamespace, UserID: "adaa"}, 0},
		"another namespace":          {backend.Filter{Namespace: "shop"}, 5},
		"another, except one":        {backend.Filter{Namespace: "shop", Except: testID(4)}, 4},
		"another, except a strange":  {backend.Filter{Namespace: "shop", Except: testID(5)}, 5},
		"another namespace's user":   {backend.Filter{Namespace: "shop", UserID: "ada"}, 5},
		"not another's user":         {backend.Filter{Namespace: "shop", UserID: "bob"}, 0},
		"a namespace nobody uses":    {backend.Filter{Namespace: "empty"}, 0},
		"its user, and except":       {backend.Filter{Namespace: "empty", UserID: "ada", Except: testID(0)}, 0},
		"a name that is a beginning": {backend.Filter{Namespace: "sho"}, 0},
	} {
		assert.Equal(t, c.want, f.count(c.filter), name)
	}
}

func testManyClear(t *testing.T, open Open) {
	f := newFixture(t, open)
	const many = 1500
	f.createdTogether(many, func(int) spec { return spec{user: "ada"} })
	stays := f.created(spec{user: "bob"})
	n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: stays.Namespace, UserID: "ada"})
	require.NoError(t, err)
	assert.Equal(t, many, n)
	assert.Equal(t, []string{stays.ID}, f.all())
}

func testManyFiles(t *testing.T, open Open) {
	t.Run("names every file of every namespace", func(t *testing.T) {
		f := newFixture(t, open)
		want := map[string]bool{}
		f.createdTogether(400, func(n int) spec {
			sp := spec{files: []string{fmt.Sprintf("file-%03d", n), fmt.Sprintf("dir/%d.csv", n%7), "shared"}}
			if n%5 == 0 {
				sp.namespace = "shop"
			}
			for _, path := range sp.files {
				want[path] = true
			}
			return sp
		})
		got := f.fileSet()
		assert.Len(t, got, len(want))
		for _, path := range got {
			assert.True(t, want[path], path)
			assert.True(t, f.hasFile(path), path)
		}
	})

	t.Run("an expired reference does not hide a live one", func(t *testing.T) {
		f := newFixture(t, open)
		f.createdTogether(300, func(n int) spec { return spec{id: testID(n), files: []string{"a"}, ttl: time.Minute} })
		f.created(spec{id: testID(300), files: []string{"a", "b"}, createdAt: f.now().Add(-time.Hour)})
		f.clock.Advance(time.Minute)
		assert.Equal(t, []string{"a", "b"}, f.fileSet())
		assert.True(t, f.hasFile("a"))
	})
}

func testManyEvents(t *testing.T, open Open) {
	f := newFixture(t, open)
	const many = 300
	want := map[backend.Key]bool{}
	for _, sess := range f.createdTogether(many, func(int) spec { return spec{ttl: time.Minute} }) {
		want[sess.Key()] = true
	}
	fo := f.follow()
	f.clock.Advance(time.Minute)
	require.Equal(t, many, f.sweep())
	for _, ev := range fo.first(many) {
		assert.Equal(t, backend.EventExpired, ev.Type)
		assert.True(t, want[ev.Session], "once each")
		delete(want, ev.Session)
	}
}

func testManyFollow(t *testing.T, open Open) {
	// More events than a store keeps.
	const few, many = 10, 1000

	t.Run("not after an event that is no longer kept", func(t *testing.T) {
		f := newLimited(t, open, Limits{Events: few})
		start := f.follow()
		sess := f.created(spec{})
		first := start.next()
		f.written(sess, many)
		fo := f.followFrom(first.ID)
		require.ErrorIs(t, fo.result(), backend.ErrEventsLost)
		assert.Empty(t, fo.events)
	})

	t.Run("nobody waits for a slow follower, which loses events, but is told", func(t *testing.T) {
		f := newLimited(t, open, Limits{Events: few})
		start := f.follow()
		sess := f.created(spec{})
		first := start.next()
		start.stop()
		slow, goOn := make(chan struct{}), make(chan struct{})
		fo := f.followWith(f.ctx(), first.ID, func(ev backend.Event) error {
			if ev.Revision == 2 {
				close(slow)
				<-goOn
			}
			return nil
		})
		sess = f.written(sess, 1)
		<-slow
		f.written(sess, many)
		close(goOn)
		require.ErrorIs(t, fo.result(), backend.ErrEventsLost)
		for n, ev := range fo.events {
			require.EqualValues(t, n+2, ev.Revision, "nothing is left out without saying so")
		}
		assert.Less(t, len(fo.events), many)
	})
}
