package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// ttl is the idle life of the suite's sessions, where a case says no other.
const ttl = time.Hour

// fixture is a store with what a case needs around it.
type fixture struct {
	backend.Store
	t     testing.TB
	clock Clock
}

func newFixture(t testing.TB, open Open) *fixture {
	t.Helper()
	return newLimited(t, open, Limits{})
}

func newLimited(t testing.TB, open Open, limits Limits) *fixture {
	t.Helper()
	s, clock := open(t, limits)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &fixture{Store: s, t: t, clock: clock}
}

// in is the fixture for a part of its test that leaves the store as it found it: to
// open one takes most of the time of a short case.
func (f *fixture) in(t testing.TB) *fixture {
	t.Helper()
	return &fixture{Store: f.Store, t: t, clock: f.clock}
}

// now is the clock's time as documents have it.
func (f *fixture) now() time.Time { return schema.Now(f.clock.Now()) }

func (f *fixture) ctx() context.Context { return f.t.Context() }

// spec is what a case says of a session; all that it leaves out has a default.
type spec struct {
	namespace, id, user string
	ttl, ownTTL         time.Duration
	createdAt           time.Time
	files               []string
	note                string // any text, to tell documents apart
	facts               schema.Facts
}

// session returns the session of a spec as it would be created now.
func (f *fixture) session(sp spec) schema.Session {
	f.t.Helper()
	now := f.now()
	sess := schema.Session{
		Namespace: sp.namespace, ID: sp.id, Life: schema.NewLife(),
		CreatedAt: sp.createdAt, UpdatedAt: now, Revision: 1,
		TTL: sp.ttl, OwnTTL: sp.ownTTL, Facts: sp.facts,
	}
	if sess.Namespace == "" {
		sess.Namespace = schema.DefaultNamespace
	}
	if sess.ID == "" {
		sess.ID = schema.NewID()
	}
	if sess.CreatedAt.IsZero() {
		sess.CreatedAt = now
	}
	if sess.TTL == 0 {
		sess.TTL = ttl
	}
	sess.ExpiresAt = now.Add(sess.TTL)
	return f.build(sess, sp)
}

// build gives sess the sections of a spec.
func (f *fixture) build(sess schema.Session, sp spec) schema.Session {
	f.t.Helper()
	sections := schema.EmptySections()
	if sp.user != "" {
		sections.User = &schema.User{ID: sp.user, Roles: []string{}}
	}
	sections.Inputs = compactJSON(f.t, map[string]string{"note": sp.note})
	if len(sp.files) > 0 {
		sections.Results = compactJSON(f.t, map[string]any{"analysis": map[string]any{"files": sp.files}})
	}
	built, err := new(schema.Rules).Build(sess, sections)
	require.NoError(f.t, err)
	return built
}

func compactJSON(t testing.TB, v any) jsontext.Value {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

// created stores a new session and returns it.
func (f *fixture) created(sp spec) schema.Session {
	f.t.Helper()
	sess := f.session(sp)
	require.NoError(f.t, f.Create(f.ctx(), f.now(), sess))
	return sess
}

// createdTogether stores n new sessions and returns them in the order of their
// specs. Many are under way at once, so that a store which writes transactions
// needs few of them: for cases in which the order of the calls does not matter.
func (f *fixture) createdTogether(n int, spec func(i int) spec) []schema.Session {
	f.t.Helper()
	sessions := make([]schema.Session, n)
	for i := range sessions {
		sessions[i] = f.session(spec(i))
	}
	workers := min(n, 64)
	together(workers, func(worker int) {
		for i := worker; i < n; i += workers {
			assert.NoError(f.t, f.Create(f.ctx(), f.now(), sessions[i]))
		}
	})
	require.False(f.t, f.t.Failed(), "sessions are missing")
	return sessions
}

// revised returns old as a change would leave it: the next revision, updated
// now, with the sections of the spec, and its facts if it has some. It lives on as it
// did; another user's has another life.
func (f *fixture) revised(old schema.Session, sp spec) schema.Session {
	f.t.Helper()
	next := old
	next.Revision++
	next.UpdatedAt = f.now()
	if sp.user != old.UserID {
		next.Life = schema.NewLife()
	}
	if sp.facts != (schema.Facts{}) {
		next.Facts = sp.facts
	}
	return f.build(next, sp)
}

// get reads a session that must be there.
func (f *fixture) get(key backend.Key) schema.Session {
	f.t.Helper()
	sess, err := f.Get(f.ctx(), f.now(), key)
	require.NoError(f.t, err)
	return sess
}

// requireGone checks that a key leads to nothing, whoever asks.
func (f *fixture) requireGone(key backend.Key) {
	f.t.Helper()
	_, err := f.Peek(f.ctx(), f.now(), key)
	require.ErrorIs(f.t, err, backend.ErrNotFound)
	_, err = f.Get(f.ctx(), f.now(), key)
	require.ErrorIs(f.t, err, backend.ErrNotFound)
}

// requireStored checks that the store holds exactly this session of its key.
func (f *fixture) requireStored(want schema.Session) {
	f.t.Helper()
	got, err := f.Peek(f.ctx(), f.now(), want.Key())
	require.NoError(f.t, err)
	requireSame(f.t, want, got)
	requireSame(f.t, want, f.get(want.Key()))
}

// requireSame compares sessions by what a caller can see of them.
func requireSame(t testing.TB, want, got schema.Session) {
	t.Helper()
	require.Equal(t, visible(want), visible(got))
}

// view is what can be seen of a session.
type view struct {
	namespace, id, user, document   string
	life                            schema.Life
	createdAt, updatedAt, expiresAt string
	revision                        int64
	ttl, ownTTL                     time.Duration
	files                           []string
	facts                           string
}

func visible(s schema.Session) view {
	const format = time.RFC3339Nano
	return view{
		namespace: s.Namespace, id: s.ID, life: s.Life, user: s.UserID,
		document:  string(s.AppendJSON(nil)),
		createdAt: s.CreatedAt.Format(format), updatedAt: s.UpdatedAt.Format(format), expiresAt: s.ExpiresAt.Format(format),
		revision: s.Revision, ttl: s.TTL, ownTTL: s.OwnTTL,
		files: slices.Sorted(slices.Values(s.Files)),
		facts: s.Facts.String(),
	}
}

// listBoth is list while nobody else changes anything: it checks that each page of
// summaries is that of the sessions.
func (f *fixture) listBoth(q backend.Query) []string {
	f.t.Helper()
	for first := q; ; {
		want, err := f.List(f.ctx(), f.now(), first)
		require.NoError(f.t, err)
		page, err := f.Summaries(f.ctx(), f.now(), first)
		require.NoError(f.t, err)
		require.Len(f.t, page.Summaries, len(want.Sessions))
		require.Equal(f.t, want.Next, page.Next)
		for i := range want.Sessions {
			requireSummary(f.t, f.now(), want.Sessions[i], page.Summaries[i])
		}
		if page.Next == "" {
			return f.list(q)
		}
		first.Cursor = page.Next
	}
}

// list returns the ids of a query's sessions, page by page.
func (f *fixture) list(q backend.Query) []string {
	f.t.Helper()
	ids := []string{}
	for {
		page, err := f.List(f.ctx(), f.now(), q)
		require.NoError(f.t, err)
		require.LessOrEqual(f.t, len(page.Sessions), q.Limit)
		for _, sess := range page.Sessions {
			ids = append(ids, sess.ID)
		}
		if page.Next == "" {
			return ids
		}
		require.Len(f.t, page.Sessions, q.Limit, "a page that is not the last")
		q.Cursor = page.Next
	}
}

// all lists the default namespace.
func (f *fixture) all() []string {
	f.t.Helper()
	return f.list(backend.Query{Namespace: schema.DefaultNamespace, Limit: 100})
}

// manyFiles returns that name and so many others, always the same ones.
func manyFiles(first string, others int) []string {
	paths := []string{first}
	for n := range others {
		paths = append(paths, fmt.Sprintf("many/%03d", n))
	}
	return paths
}

// fileSet returns what Files names, sorted and each once.
func (f *fixture) fileSet() []string {
	f.t.Helper()
	seen := map[string]bool{}
	require.NoError(f.t, f.Files(f.ctx(), f.now(), func(path string) error {
		seen[path] = true
		return nil
	}))
	paths := make([]string, 0, len(seen))
	for path := range seen {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func (f *fixture) hasFile(paths ...string) bool {
	f.t.Helper()
	has, err := f.HasFile(f.ctx(), f.now(), paths...)
	require.NoError(f.t, err)
	return has
}

func (f *fixture) stats() backend.Stats {
	f.t.Helper()
	st, err := f.Stats(f.ctx(), f.now())
	require.NoError(f.t, err)
	return st
}

func (f *fixture) sweep() int {
	f.t.Helper()
	n, err := f.Sweep(f.ctx(), f.now())
	require.NoError(f.t, err)
	return n
}

// requireEmpty checks that nothing is left of any session, once swept.
func (f *fixture) requireEmpty() {
	f.t.Helper()
	f.sweep()
	st := f.stats()
	assert.Zero(f.t, st.Entries, "entries")
	assert.Zero(f.t, st.Bytes, "bytes")
	assert.Empty(f.t, f.all())
	assert.Empty(f.t, f.fileSet())
}

// testID returns a valid id that tells its number; ids order as numbers do.
func testID(n int) string { return fmt.Sprintf("test-session-%06d", n) }
