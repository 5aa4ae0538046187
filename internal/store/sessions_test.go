package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// start is when the tests' sessions are created: with more digits than a
// document has, as a real clock gives them.
var start = time.Date(2026, 11, 21, 17, 0, 0, 123_456_789, time.FixedZone("", 3600))

// bench is a Sessions on a store in memory.
type bench struct {
	*store.Sessions
	t     *testing.T
	store *meddler
}

func newBench(t *testing.T, life store.Lifetimes) *bench {
	t.Helper()
	return newLimitedBench(t, life, store.UserLimit{})
}

func newLimitedBench(t *testing.T, life store.Lifetimes, limit store.UserLimit) *bench {
	t.Helper()
	if life.TTL == 0 {
		life.TTL = time.Hour
	}
	m := &meddler{Store: memory.New(memory.Options{Tombstone: time.Minute})}
	return &bench{Sessions: store.NewSessions(m, &schema.Rules{MaxBytes: 2000}, life, limit), t: t, store: m}
}

// meddler is a store to which something can happen just before a call.
type meddler struct {
	backend.Store
	before map[string]func() // by method, for one call
	swaps  int
}

func (m *meddler) meddle(method string) {
	if f := m.before[method]; f != nil {
		delete(m.before, method)
		f()
	}
}

func (m *meddler) Create(ctx context.Context, now time.Time, s schema.Session, opts ...backend.CreateOption) error {
	m.meddle("Create")
	return m.Store.Create(ctx, now, s, opts...)
}

func (m *meddler) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	m.meddle("Swap")
	m.swaps++
	return m.Store.Swap(ctx, now, old, next)
}

func (m *meddler) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	m.meddle("Touch")
	return m.Store.Touch(ctx, now, key, until)
}

func (m *meddler) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	m.meddle("Regenerate")
	return m.Store.Regenerate(ctx, now, old, next, graceUntil)
}

func (m *meddler) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	m.meddle("Delete")
	return m.Store.Delete(ctx, now, key, revision)
}

// patch is a change to what a case says.
type patch struct {
	inputs string
	user   *schema.User
	ttl    time.Duration
	err    error
}

func (p patch) Apply(cur schema.Sections) (schema.Sections, error) {
	if p.inputs != "" {
		cur.Inputs = jsontext.Value(p.inputs)
	}
	if p.user != nil {
		cur.User = p.user
	}
	return cur, p.err
}

func (p patch) TTL() (time.Duration, bool) { return p.ttl, p.ttl != 0 }

var (
	admin = &schema.User{ID: "ada", Roles: []string{"admin"}}
	roles = map[string]time.Duration{"admin": 10 * time.Minute}
)

func (b *bench) created(p patch) schema.Session {
	b.t.Helper()
	sess, err := b.Create(b.t.Context(), start, schema.DefaultNamespace, p, nil)
	require.NoError(b.t, err)
	return sess
}

func (b *bench) update(after time.Duration, key backend.Key, u store.Update) (schema.Session, bool) {
	b.t.Helper()
	sess, moved, err := b.Update(b.t.Context(), start.Add(after), key, u)
	require.NoError(b.t, err)
	return sess, moved
}

// at is a moment as a document has it.
func at(after time.Duration) time.Time { return schema.Now(start.Add(after)) }

// requireStored checks that the store has the session as it was returned.
func (b *bench) requireStored(want schema.Session) {
	b.t.Helper()
	got, err := b.store.Peek(b.t.Context(), start, want.Key())
	require.NoError(b.t, err)
	require.Equal(b.t, string(want.AppendJSON(nil)), string(got.AppendJSON(nil)))
	require.Equal(b.t, want.TTL, got.TTL)
	require.Equal(b.t, want.OwnTTL, got.OwnTTL)
	require.Equal(b.t, want.ExpiresAt, got.ExpiresAt)
	require.Equal(b.t, want.Facts, got.Facts)
}

func (b *bench) requireGone(key backend.Key) {
	b.t.Helper()
	_, err := b.store.Peek(b.t.Context(), start, key)
	require.ErrorIs(b.t, err, backend.ErrNotFound)
}

func TestCreate(t *testing.T) {
	t.Run("a new session", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{inputs: `{"a":1}`, user: admin})
		assert.True(t, schema.ValidID(sess.ID))
		assert.Equal(t, at(0), sess.CreatedAt)
		assert.Equal(t, at(0), sess.UpdatedAt)
		assert.Equal(t, at(time.Hour), sess.ExpiresAt)
		assert.EqualValues(t, 1, sess.Revision)
		assert.Equal(t, "ada", sess.UserID)
		assert.Contains(t, string(sess.Doc), `"inputs":{"a":1}`)
		b.requireStored(sess)
		assert.NotEqual(t, sess.ID, b.created(patch{}).ID)
	})

	for name, c := range map[string]struct {
		life store.Lifetimes
		in   patch
		ttl  time.Duration
		dies time.Duration
	}{
		"own TTL":      {store.Lifetimes{}, patch{ttl: time.Minute}, time.Minute, time.Minute},
		"role":         {store.Lifetimes{Roles: roles}, patch{user: admin}, 10 * time.Minute, 10 * time.Minute},
		"absolute cap": {store.Lifetimes{Absolute: time.Minute}, patch{}, time.Hour, time.Minute},
		"role and cap": {store.Lifetimes{Roles: roles, Absolute: time.Minute}, patch{user: admin, ttl: time.Hour}, 10 * time.Minute, time.Minute},
		"most":         {store.Lifetimes{MaxTTL: 2 * time.Hour}, patch{ttl: 9 * time.Hour}, 2 * time.Hour, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.life)
			sess := b.created(c.in)
			assert.Equal(t, c.ttl, sess.TTL)
			assert.Equal(t, c.in.ttl, sess.OwnTTL)
			assert.Equal(t, at(c.dies), sess.ExpiresAt)
			b.requireStored(sess)
		})
	}

	refused := errors.New("refused")
	for name, c := range map[string]struct {
		in    patch
		allow store.Allow
		want  error
	}{
		"by the change": {in: patch{err: refused}, want: refused},
		"by the caller": {allow: func(before, after schema.Sections) error {
			if before.User == nil && after.User != nil {
				return refused
			}
			return nil
		}, in: patch{user: admin}, want: refused},
	} {
		t.Run("refused "+name, func(t *testing.T) {
			b := newBench(t, store.Lifetimes{})
			_, err := b.Create(t.Context(), start, schema.DefaultNamespace, c.in, c.allow)
			require.ErrorIs(t, err, c.want)
			requireNothingStored(t, b)
		})
	}

	t.Run("refused by size", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		_, err := b.Create(t.Context(), start, schema.DefaultNamespace, large, nil)
		requireTooLarge(t, err)
		requireNothingStored(t, b)
	})
}

// large makes a document that is over the bench's limit.
var large = patch{inputs: `{"a":"` + string(make([]byte, 2000)) + `"}`}

func requireTooLarge(t *testing.T, err error) {
	t.Helper()
	var problem *schema.Error
	require.ErrorAs(t, err, &problem)
	require.Equal(t, schema.CodeTooLarge, problem.Code)
}

func requireNothingStored(t *testing.T, b *bench) {
	t.Helper()
	st, err := b.Stats(t.Context(), start)
	require.NoError(t, err)
	require.Zero(t, st.Entries)
}

func TestAccess(t *testing.T) {
	access := func(b *bench, after time.Duration, key backend.Key) (schema.Session, bool) {
		b.t.Helper()
		sess, moved, err := b.Access(b.t.Context(), start.Add(after), key)
		require.NoError(b.t, err)
		return sess, moved
	}

	t.Run("slides are coalesced", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Minute})
		sess := b.created(patch{})
		for _, c := range []struct {
			now, dies time.Duration
			moved     bool
		}{
			{30 * time.Second, time.Hour, false},
			{60 * time.Second, time.Hour + time.Minute, true},
			{61 * time.Second, time.Hour + time.Minute, false},
			{119 * time.Second, time.Hour + time.Minute, false},
			{180 * time.Second, time.Hour + 3*time.Minute, true},
		} {
			got, moved := access(b, c.now, sess.Key())
			assert.Equal(t, c.moved, moved, "%v", c.now)
			assert.Equal(t, at(c.dies), got.ExpiresAt, "%v", c.now)
			assert.EqualValues(t, 1, got.Revision)
			b.requireStored(got)
		}
	})

	t.Run("up to the absolute end", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{TouchInterval: time.Minute, Absolute: 90 * time.Minute})
		sess := b.created(patch{})
		got, moved := access(b, 29*time.Minute+45*time.Second, sess.Key())
		assert.True(t, moved)
		got, moved = access(b, 59*time.Minute, got.Key())
		assert.True(t, moved, "the last quarter of a minute, less than the interval")
		assert.Equal(t, at(90*time.Minute), got.ExpiresAt)
		_, moved = access(b, 89*time.Minute, got.Key())
		assert.False(t, moved)
		_, _, err := b.Access(t.Context(), start.Add(90*time.Minute), got.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("within a grace it is a use of the successor", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		next, _, err := b.Renew(t.Context(), start, sess.Key(), time.Hour)
		require.NoError(t, err)
		got, moved := access(b, 30*time.Minute, sess.Key())
		assert.True(t, moved)
		next.ExpiresAt = at(90 * time.Minute)
		assert.Equal(t, next, got)
		b.requireStored(next)
	})

	t.Run("renewed with a grace before it slid", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		var next schema.Session
		b.store.before = map[string]func(){"Touch": func() {
			var err error
			next, _, err = b.Renew(t.Context(), start, sess.Key(), time.Hour)
			require.NoError(t, err)
		}}
		got, moved := access(b, time.Minute, sess.Key())
		assert.False(t, moved)
		assert.Equal(t, next, got)
	})

	t.Run("ended before it slid", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Touch": func() { require.NoError(t, b.End(t.Context(), start, sess.Key(), nil)) }}
		_, _, err := b.Access(t.Context(), start.Add(time.Minute), sess.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
		b.requireGone(sess.Key())
	})

	t.Run("a life cut short meanwhile stays short", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Roles: roles})
		sess := b.created(patch{})
		b.store.before = map[string]func(){"Touch": func() {
			b.update(time.Minute, sess.Key(), store.Update{Change: patch{user: admin}})
		}}
		got, _ := access(b, time.Minute, sess.Key())
		assert.Equal(t, at(11*time.Minute), got.ExpiresAt)
	})
}

func TestCreateUnasked(t *testing.T) {
	b := newBench(t, store.Lifetimes{Unwritten: time.Minute, TouchInterval: time.Second})
	create := func() schema.Session {
		sess, err := b.CreateUnasked(t.Context(), start, schema.DefaultNamespace)
		require.NoError(t, err)
		assert.Equal(t, at(time.Minute), sess.ExpiresAt)
		return sess
	}
	sess := create()
	got, moved, err := b.Access(t.Context(), at(30*time.Second), sess.Key())
	require.NoError(t, err)
	assert.True(t, moved)
	assert.Equal(t, at(90*time.Second), got.ExpiresAt, "reading it is no reason to keep it longer")

	got, moved, err = b.Update(t.Context(), at(time.Minute), sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
	require.NoError(t, err)
	assert.True(t, moved)
	assert.Equal(t, at(time.Hour+time.Minute), got.ExpiresAt, "it lives as any other once it is written to")
	assert.Equal(t, time.Hour, got.TTL)
	b.requireStored(got)

	sess = create()
	_, err = b.Get(t.Context(), at(time.Minute), sess.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)

	b = newBench(t, store.Lifetimes{Unwritten: 2 * time.Hour})
	sess, err = b.CreateUnasked(t.Context(), start, schema.DefaultNamespace)
	require.NoError(t, err)
	assert.Equal(t, at(time.Hour), sess.ExpiresAt, "never longer than others")
}
