package storetest

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testList(t *testing.T, open Open) {
	t.Run("newest first, then by id", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.now()
		for n, age := range map[int]int{1: 2, 2: 0, 3: 1, 4: 0, 5: 2, 6: 1} {
			f.created(spec{id: testID(n), createdAt: start.Add(-time.Duration(age) * time.Millisecond)})
		}
		want := []string{testID(2), testID(4), testID(3), testID(6), testID(1), testID(5)}
		for limit := 1; limit <= len(want)+1; limit++ {
			assert.Equal(t, want, f.listBoth(backend.Query{Namespace: schema.DefaultNamespace, Limit: limit}), "limit %d", limit)
		}
	})

	t.Run("whole sessions", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{namespace: "shop", user: "ada", note: "text", files: []string{"a"}, ownTTL: ttl})
		page, err := f.List(f.ctx(), f.now(), backend.Query{Namespace: "shop", Limit: 1})
		require.NoError(t, err)
		require.Len(t, page.Sessions, 1)
		requireSame(t, sess, page.Sessions[0])
		assert.Empty(t, page.Next)
	})

	t.Run("is no use and counts nothing", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{})
		before := f.stats()
		f.all()
		assert.Equal(t, before, f.stats())
	})
}

func testCursor(t *testing.T, open Open) {
	query := backend.Query{Namespace: schema.DefaultNamespace, UserID: "ada", Limit: 3}
	// filled returns a store with ten sessions of one user, and their ids in
	// the order of the list.
	filled := func(t *testing.T) (*fixture, []string) {
		t.Helper()
		f := newFixture(t, open)
		var ids []string
		for n := range 10 {
			ids = append(ids, testID(n))
			f.created(spec{id: testID(n), user: "ada", createdAt: f.now().Add(-time.Duration(n/2) * time.Second)})
		}
		return f, ids
	}
	pageAt := func(f *fixture, cursor string) backend.Page {
		f.t.Helper()
		q := query
		q.Cursor = cursor
		page, err := f.List(f.ctx(), f.now(), q)
		require.NoError(f.t, err)
		return page
	}
	ids := func(page backend.Page) []string {
		ids := make([]string, len(page.Sessions))
		for i := range page.Sessions {
			ids[i] = page.Sessions[i].ID
		}
		return ids
	}

	t.Run("goes on where the page ended, whatever happens meanwhile", func(t *testing.T) {
		f, want := filled(t)
		first := pageAt(f, "")
		require.Equal(t, want[:3], ids(first))
		// The last of the page, one before it and the next one end; a newer
		// and an older session come.
		for _, n := range []int{2, 0, 3} {
			require.NoError(t, f.Delete(f.ctx(), f.now(), backend.Key{Namespace: query.Namespace, ID: testID(n)}, 0))
		}
		f.created(spec{id: testID(20), user: "ada"})
		f.created(spec{id: testID(21), user: "ada", createdAt: f.now().Add(-time.Hour)})
		second := pageAt(f, first.Next)
		assert.Equal(t, want[4:7], ids(second))
		third := pageAt(f, second.Next)
		assert.Equal(t, want[7:10], ids(third))
		last := pageAt(f, third.Next)
		assert.Equal(t, []string{testID(21)}, ids(last))
		assert.Empty(t, last.Next)
	})

	t.Run("can be used again", func(t *testing.T) {
		f, want := filled(t)
		cursor := pageAt(f, "").Next
		assert.Equal(t, want[3:6], ids(pageAt(f, cursor)))
		assert.Equal(t, want[3:6], ids(pageAt(f, cursor)))
	})

	t.Run("the limit may change", func(t *testing.T) {
		f, want := filled(t)
		q := query
		q.Cursor, q.Limit = pageAt(f, "").Next, 5
		page, err := f.List(f.ctx(), f.now(), q)
		require.NoError(t, err)
		assert.Equal(t, want[3:8], ids(page))
	})

	t.Run("is refused where it does not belong", func(t *testing.T) {
		f, _ := filled(t)
		cursor := pageAt(f, "").Next
		for name, change := range map[string]func(q *backend.Query){
			"another user":       func(q *backend.Query) { q.UserID = "bob" },
			"all users":          func(q *backend.Query) { q.UserID = "" },
			"another namespace":  func(q *backend.Query) { q.Namespace = "shop" },
			"parts run together": func(q *backend.Query) { q.Namespace, q.UserID = "defaulta", "da" },
		} {
			q := query
			q.Cursor = cursor
			change(&q)
			_, err := f.List(f.ctx(), f.now(), q)
			assert.ErrorIs(t, err, backend.ErrBadCursor, name)
		}
	})

	t.Run("is refused if it is none", func(t *testing.T) {
		f, _ := filled(t)
		cursor := pageAt(f, "").Next
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		require.NoError(t, err, "cursors fit into a URL as they are")
		bad := map[string]string{
			"text":            "no cursor",
			"an id":           testID(3),
			"padded":          cursor + "=",
			"with a newline":  cursor[:4] + "\n" + cursor[4:],
			"with a trail":    cursor + "A",
			"twice":           cursor + cursor,
			"cut":             cursor[:len(cursor)/2],
			"nothing encoded": "=",
			"zeros":           base64.RawURLEncoding.EncodeToString(make([]byte, len(raw))),
			"no id":           base64.RawURLEncoding.EncodeToString(raw[:len(raw)-len(testID(0))]),
			"id too long":     base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw), strings.Repeat("x", 200)...)),
			"id no id":        base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw), '"', '\n')),
		}
		for name, text := range bad {
			q := query
			q.Cursor = text
			_, err := f.List(f.ctx(), f.now(), q)
			assert.ErrorIs(t, err, backend.ErrBadCursor, name)
		}
	})
}

func testClear(t *testing.T, open Open) {
	// filled has three sessions of ada, one of bob and one of nobody in the
	// default namespace, and one of ada in another.
	filled := func(t *testing.T) (f *fixture, others backend.Key) {
		t.Helper()
		f = newFixture(t, open)
		for n, user := range []string{"ada", "bob", "ada", "", "ada"} {
			f.created(spec{id: testID(n), user: user, files: []string{testID(n)}})
		}
		other := f.created(spec{namespace: "shop", user: "ada"})
		return f, other.Key()
	}
	for name, c := range map[string]struct {
		filter backend.Filter
		left   []int
	}{
		"all":              {backend.Filter{}, []int{}},
		"all except":       {backend.Filter{Except: testID(1)}, []int{1}},
		"all except none":  {backend.Filter{Except: testID(99)}, []int{}},
		"a user":           {backend.Filter{UserID: "ada"}, []int{1, 3}},
		"a user except":    {backend.Filter{UserID: "ada", Except: testID(2)}, []int{1, 2, 3}},
		"except a strange": {backend.Filter{UserID: "ada", Except: testID(1)}, []int{1, 3}},
		"unknown user":     {backend.Filter{UserID: "eve"}, []int{0, 1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			f, other := filled(t)
			c.filter.Namespace = schema.DefaultNamespace
			n, err := f.Clear(f.ctx(), f.now(), c.filter)
			require.NoError(t, err)
			assert.Equal(t, 5-len(c.left), n)
			want := []string{}
			for _, n := range c.left {
				want = append(want, testID(n))
			}
			assert.ElementsMatch(t, want, f.all())
			assert.ElementsMatch(t, want, f.fileSet())
			f.get(other)
			assert.EqualValues(t, n, f.stats().Deletes)
			assert.EqualValues(t, 1+len(c.left), f.stats().Entries)
		})
	}

	t.Run("a namespace that nobody uses", func(t *testing.T) {
		f, _ := filled(t)
		n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: "empty"})
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}
