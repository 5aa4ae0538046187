package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// plenty is a budget that no case exceeds.
const plenty = 1 << 30

// requireSummary checks what a store says of a session without its document.
func requireSummary(t testing.TB, now time.Time, want schema.Session, got schema.Summary) {
	t.Helper()
	expected, err := want.Summary()
	require.NoError(t, err)
	require.Equal(t, string(expected.AppendJSON(nil, now, false)), string(got.AppendJSON(nil, now, false)))
	require.Equal(t, expected.TTL, got.TTL)
	require.Equal(t, expected.UserID, got.UserID)
	require.Equal(t, expected.Key(), got.Key())
}

// noisy returns the spec of a session with a document of more than that many bytes,
// which does not compress well.
func noisy(sp spec, bytes int) spec {
	var b strings.Builder
	for n := 0; b.Len() < bytes; n++ {
		fmt.Fprintf(&b, "%x ", n*2654435761)
	}
	sp.note = b.String()
	return sp
}

func testSeveral(t *testing.T, open Open) {
	getAll := func(f *fixture, namespace string, ids ...string) []backend.Found[schema.Session] {
		f.t.Helper()
		found, err := f.GetAll(f.ctx(), f.now(), backend.Batch{Namespace: namespace, IDs: ids, Budget: plenty})
		require.NoError(f.t, err)
		require.Len(f.t, found, len(ids))
		return found
	}

	t.Run("GetAll and Summarize answer in order, each for itself", func(t *testing.T) {
		f := newFixture(t, open)
		small := f.created(spec{user: "ada", note: "small", files: []string{"a"}, ownTTL: ttl})
		medium := f.created(noisy(spec{user: `b"ob`, files: []string{"b"}}, 5_000))
		big := f.created(noisy(spec{}, 200_000))
		brief := f.created(spec{ttl: time.Minute})
		ended := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), ended.Key(), 0))
		elsewhere := f.created(spec{namespace: "shop"})
		old := f.created(noisy(spec{user: "eve"}, 9_000))
		next := f.regenerated(old, ttl)
		f.clock.Advance(time.Minute)

		ids := []string{big.ID, testID(1), small.ID, brief.ID, old.ID, ended.ID, small.ID, elsewhere.ID, medium.ID, next.ID}
		want := []*schema.Session{&big, nil, &small, nil, &next, nil, &small, nil, &medium, &next}
		before := f.stats()
		summaries, err := f.Summarize(f.ctx(), f.now(), schema.DefaultNamespace, ids)
		require.NoError(t, err)
		require.Len(t, summaries, len(ids))
		assert.Equal(t, before.Hits, f.stats().Hits)
		assert.Equal(t, before.Misses, f.stats().Misses)
		for i, one := range getAll(f, schema.DefaultNamespace, ids...) {
			if want[i] == nil {
				assert.ErrorIs(t, one.Err, backend.ErrNotFound, i)
				assert.ErrorIs(t, summaries[i].Err, backend.ErrNotFound, i)
				continue
			}
			require.NoError(t, one.Err, i)
			requireSame(t, *want[i], one.Value)
			require.NoError(t, summaries[i].Err, i)
			requireSummary(t, f.now(), *want[i], summaries[i].Value)
		}
		assert.Equal(t, before.Hits+6, f.stats().Hits)
		assert.Equal(t, before.Misses+4, f.stats().Misses)

		peeked, err := f.GetAll(f.ctx(), f.now(), backend.Batch{Namespace: schema.DefaultNamespace, IDs: ids, Budget: plenty, Peek: true})
		require.NoError(t, err)
		requireSame(t, big, peeked[0].Value)
		require.ErrorIs(t, peeked[1].Err, backend.ErrNotFound)
		assert.Equal(t, before.Hits+6, f.stats().Hits, "a look is no use")
		assert.Equal(t, before.Misses+4, f.stats().Misses)

		assert.Empty(t, getAll(f, schema.DefaultNamespace))
		requireSame(t, elsewhere, getAll(f, "shop", elsewhere.ID)[0].Value)
		require.ErrorIs(t, getAll(f, "empty", small.ID)[0].Err, backend.ErrNotFound)
	})

	t.Run("a summary says what a session says", func(t *testing.T) {
		f := newFixture(t, open)
		created := f.now()
		sess := f.session(spec{user: "ada", ttl: ttl})
		sections, err := sess.Sections()
		require.NoError(t, err)
		sections.User = &schema.User{ID: "ada", Email: "ada@example.org", Roles: []string{"editor", `a "quoted" one`}}
		sess, err = new(schema.Rules).Build(sess, sections)
		require.NoError(t, err)
		require.NoError(t, f.Create(f.ctx(), f.now(), sess))
		f.clock.Advance(5 * time.Minute)
		_, err = f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		touched := f.now()
		f.clock.Advance(time.Minute)
		found, err := f.Summarize(f.ctx(), f.now(), sess.Namespace, []string{sess.ID})
		require.NoError(t, err)
		require.NoError(t, found[0].Err)
		sum := found[0].Value
		assert.Equal(t, created, sum.CreatedAt)
		assert.Equal(t, touched, sum.LastSeenAt(f.now()))
		assert.Equal(t, touched.Add(ttl), sum.ExpiresAt)
		assert.Equal(t, len(sess.Doc), sum.Bytes)
		assert.True(t, sum.HasRole("editor"))
		assert.True(t, sum.HasRole(`a "quoted" one`))
		assert.False(t, sum.HasRole("edit"))
		assert.EqualValues(t, 1, sum.Revision)
	})

	t.Run("a long user is read to its end", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.session(noisy(spec{user: "ada"}, 40_000))
		sections, err := sess.Sections()
		require.NoError(t, err)
		sections.User = &schema.User{ID: "ada", Roles: []string{}}
		for n := range 64 {
			sections.User.Roles = append(sections.User.Roles, fmt.Sprintf("role-%02d-%s", n, strings.Repeat("x", 100)))
		}
		sess, err = new(schema.Rules).Build(sess, sections)
		require.NoError(t, err)
		require.NoError(t, f.Create(f.ctx(), f.now(), sess))
		found, err := f.Summarize(f.ctx(), f.now(), sess.Namespace, []string{sess.ID})
		require.NoError(t, err)
		require.NoError(t, found[0].Err)
		requireSummary(t, f.now(), sess, found[0].Value)
		assert.True(t, found[0].Value.HasRole(sections.User.Roles[63]))
		page, err := f.Summaries(f.ctx(), f.now(), backend.Query{Namespace: sess.Namespace, Limit: 1})
		require.NoError(t, err)
		requireSummary(t, f.now(), sess, page.Summaries[0])
	})

	t.Run("documents share a budget", func(t *testing.T) {
		f := newFixture(t, open)
		const size = 10_000
		var ids []string
		for n := range 3 {
			ids = append(ids, f.created(noisy(spec{id: testID(n)}, size)).ID)
		}
		little := f.created(spec{id: testID(9)})
		ids = append(ids, testID(100), little.ID)
		errs := func(budget int64) (errs []error) {
			found, err := f.GetAll(f.ctx(), f.now(), backend.Batch{Namespace: schema.DefaultNamespace, IDs: ids, Budget: budget})
			require.NoError(t, err)
			for _, one := range found {
				errs = append(errs, one.Err)
			}
			return errs
		}
		over, gone := backend.ErrOverBudget, backend.ErrNotFound
		for name, c := range map[string]struct {
			budget int64
			want   []error
		}{
			"none":          {0, []error{nil, over, over, gone, over}},
			"for one":       {size + size/2, []error{nil, over, over, gone, nil}},
			"for two":       {2*size + size/2, []error{nil, nil, over, gone, nil}},
			"for all":       {10 * size, []error{nil, nil, nil, gone, nil}},
			"for the small": {1, []error{nil, over, over, gone, over}},
		} {
			got := errs(c.budget)
			for i := range c.want {
				if c.want[i] == nil {
					assert.NoError(t, got[i], "%s: %d", name, i)
				} else {
					assert.ErrorIs(t, got[i], c.want[i], "%s: %d", name, i)
				}
			}
		}
	})

	t.Run("DeleteAll says which it has ended", func(t *testing.T) {
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		const many = 700 // more than a store would handle at a time
		f.createdTogether(many, func(n int) spec { return spec{id: testID(n), user: "ada", files: []string{testID(n)}} })
		stays := f.created(spec{id: testID(many + 1)})
		other := f.created(spec{namespace: "shop", id: testID(0)})
		brief := f.created(spec{ttl: time.Minute})
		f.clock.Advance(time.Minute)
		ids := []string{testID(many + 2), brief.ID}
		for n := range many {
			ids = append(ids, testID(n))
		}
		ids = append(ids, testID(3))
		ended, err := f.DeleteAll(f.ctx(), f.now(), schema.DefaultNamespace, ids)
		require.NoError(t, err)
		want := make([]bool, len(ids))
		for i := 2; i < 2+many; i++ {
			want[i] = true
		}
		assert.Equal(t, want, ended)
		assert.Equal(t, []string{stays.ID}, f.all())
		assert.Empty(t, f.fileSet())
		assert.EqualValues(t, many, f.stats().Deletes)
		f.get(other.Key())
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{id: testID(5)})), backend.ErrEnded)
		ended, err = f.DeleteAll(f.ctx(), f.now(), schema.DefaultNamespace, ids)
		require.NoError(t, err)
		assert.NotContains(t, ended, true)
		ended, err = f.DeleteAll(f.ctx(), f.now(), "shop", []string{other.ID})
		require.NoError(t, err)
		assert.Equal(t, []bool{true}, ended)
	})

	t.Run("DeleteAll does not follow a grace", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{})
		next := f.regenerated(old, ttl)
		ended, err := f.DeleteAll(f.ctx(), f.now(), old.Namespace, []string{old.ID})
		require.NoError(t, err)
		assert.Equal(t, []bool{false}, ended)
		f.get(next.Key())
	})

	t.Run("nor does DeleteAll pretend", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		over, cancel := context.WithCancel(f.ctx())
		cancel()
		ended, err := f.DeleteAll(over, f.now(), sess.Namespace, []string{sess.ID})
		if err == nil {
			assert.Equal(t, []bool{true}, ended)
			f.requireGone(sess.Key())
		}
	})
}

func testSpans(t *testing.T, open Open) {
	// filled has sessions of ada and bob in turn, two of each millisecond, the ids of
	// both kinds.
	const many = 640
	filled := func(t *testing.T) (f *fixture, all []schema.Session, start time.Time) {
		t.Helper()
		f = newFixture(t, open)
		start = f.now()
		all = f.createdTogether(many, func(n int) spec {
			sp := spec{user: []string{"ada", "bob"}[n%2], createdAt: start.Add(-time.Duration(n/4) * time.Millisecond)}
			if n%3 > 0 {
				sp.id = testID(n)
			}
			return sp
		})
		slices.SortFunc(all, func(a, b schema.Session) int {
			if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
				return c
			}
			return strings.Compare(a.ID, b.ID)
		})
		return f, all, start
	}
	f, all, start := filled(t)
	ago := func(n int) time.Time { return start.Add(-time.Duration(n) * time.Millisecond) }
	for name, span := range map[string]backend.Span{
		"open":                     {},
		"after":                    {After: ago(100)},
		"before":                   {Before: ago(60)},
		"between":                  {After: ago(100), Before: ago(60)},
		"one millisecond":          {After: ago(11), Before: ago(9)},
		"nothing between":          {After: ago(11), Before: ago(10)},
		"upside down":              {After: ago(10), Before: ago(20)},
		"before all":               {Before: ago(many)},
		"after all":                {After: start},
		"before the epoch":         {Before: time.UnixMilli(-5)},
		"after the epoch":          {After: time.UnixMilli(0)},
		"far beyond":               {After: time.UnixMilli(-1 << 55), Before: time.UnixMilli(1 << 55)},
		"within the youngest ones": {After: ago(1), Before: start.Add(time.Millisecond)},
	} {
		for _, user := range []string{"", "ada", "eve"} {
			var want []string
			for _, sess := range all {
				after := span.After.IsZero() || sess.CreatedAt.After(span.After)
				before := span.Before.IsZero() || sess.CreatedAt.Before(span.Before)
				if after && before && (user == "" || sess.UserID == user) {
					want = append(want, sess.ID)
				}
			}
			q := backend.Query{Namespace: schema.DefaultNamespace, UserID: user, Created: span, Limit: 37}
			assert.Equal(t, want, nilIfEmpty(f.listBoth(q)), "%s of %q", name, user)
			q.OldestFirst = true
			slices.Reverse(want)
			assert.Equal(t, want, nilIfEmpty(f.listBoth(q)), "%s of %q, oldest first", name, user)
			filter := backend.Filter{Namespace: schema.DefaultNamespace, UserID: user, Created: span}
			assert.Equal(t, len(want), f.count(filter), "%s of %q", name, user)
			if len(want) > 0 {
				filter.Except = want[len(want)/2]
				assert.Equal(t, len(want)-1, f.count(filter), "%s of %q, except one", name, user)
			}
		}
	}

	t.Run("a cursor is of one span and one order", func(t *testing.T) {
		q := backend.Query{Namespace: schema.DefaultNamespace, Limit: 10, Created: backend.Span{After: ago(100)}}
		page, err := f.List(f.ctx(), f.now(), q)
		require.NoError(t, err)
		for name, change := range map[string]func(*backend.Query){
			"another start": func(q *backend.Query) { q.Created.After = ago(99) },
			"another end":   func(q *backend.Query) { q.Created.Before = ago(10) },
			"no span":       func(q *backend.Query) { q.Created = backend.Span{} },
			"reversed":      func(q *backend.Query) { q.OldestFirst = true },
		} {
			other := q
			other.Cursor = page.Next
			change(&other)
			_, err := f.List(f.ctx(), f.now(), other)
			assert.ErrorIs(t, err, backend.ErrBadCursor, name)
		}
	})

	t.Run("a forged cursor shows nothing beyond the span", func(t *testing.T) {
		for _, oldest := range []bool{false, true} {
			q := backend.Query{Namespace: schema.DefaultNamespace, Limit: many, Created: backend.Span{After: ago(20), Before: ago(10)}, OldestFirst: oldest}
			for _, created := range []time.Time{ago(0), ago(150), start.Add(time.Hour)} {
				q.Cursor = backend.EncodeCursor(q, created.UnixMilli(), testID(0))
				page, err := f.List(f.ctx(), f.now(), q)
				require.NoError(t, err)
				for _, sess := range page.Sessions {
					assert.True(t, q.Created.Contains(sess.CreatedAt))
				}
			}
		}
	})

	t.Run("Clear", func(t *testing.T) {
		span := backend.Span{After: ago(100), Before: ago(60)}
		n, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada", Created: span})
		require.NoError(t, err)
		assert.Equal(t, 78, n) // 39 milliseconds, two of ada's each
		n, err = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace, Created: span})
		require.NoError(t, err)
		assert.Equal(t, 78, n)
		assert.Zero(t, f.count(backend.Filter{Namespace: schema.DefaultNamespace, Created: span}))
		assert.Equal(t, many-156, f.count(backend.Filter{Namespace: schema.DefaultNamespace}))
	})
}

func nilIfEmpty(ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	return ids
}
