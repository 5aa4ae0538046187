package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// request is an Observer that counts how often it is asked.
type request struct {
	label    string
	remember *bool
	asked    int
}

func (r *request) Observe(facts schema.Facts) schema.Facts {
	r.asked++
	facts = facts.WithClient(schema.Client{Label: r.label})
	if r.remember != nil {
		facts = facts.WithRemember(*r.remember)
	}
	return facts
}

// from returns the context of a request of that client.
func (b *bench) from(label string) (context.Context, *request) {
	r := &request{label: label}
	return store.WithObserver(b.t.Context(), r), r
}

func labeled(label string) schema.Facts {
	return schema.Facts{}.WithClient(schema.Client{Label: label})
}

func TestObserver(t *testing.T) {
	const interval = time.Minute
	created := func(t *testing.T, life store.Lifetimes) (*bench, schema.Session) {
		t.Helper()
		life.TouchInterval = interval
		b := newBench(t, life)
		ctx, _ := b.from("Firefox on Windows")
		sess, err := b.Create(ctx, start, schema.DefaultNamespace, patch{}, nil)
		require.NoError(t, err)
		require.Equal(t, labeled("Firefox on Windows"), sess.Facts)
		b.requireStored(sess)
		return b, sess
	}

	t.Run("a read that writes nothing keeps the facts", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		ctx, r := b.from("curl")
		got, moved, err := b.Access(ctx, start.Add(interval-time.Millisecond), sess.Key())
		require.NoError(t, err)
		assert.False(t, moved)
		assert.Zero(t, r.asked)
		assert.Equal(t, sess, got)
	})

	t.Run("a read that moves the deadline takes them along in one write", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		b.store.before = map[string]func(){"Touch": func() { t.Error("a touch beside the change") }}
		ctx, _ := b.from("curl")
		got, moved, err := b.Access(ctx, start.Add(interval), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, 1, b.store.swaps)
		want := sess
		want.Facts, want.ExpiresAt = labeled("curl"), sess.ExpiresAt.Add(interval)
		assert.Equal(t, string(want.AppendJSON(nil)), string(got.AppendJSON(nil)))
		assert.Equal(t, want.Facts, got.Facts)
		assert.EqualValues(t, 1, got.Revision)
		assert.EqualValues(t, 1, b.ClientChanges())
		b.requireStored(got)

		b.store.before = nil
		_, moved, err = b.Access(ctx, start.Add(2*interval), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, 1, b.store.swaps, "what is known already is a touch as ever")
		assert.EqualValues(t, 1, b.ClientChanges())
	})

	t.Run("a change takes them along", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		ctx, _ := b.from("curl")
		got, _, err := b.Update(ctx, start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
		require.NoError(t, err)
		assert.Equal(t, labeled("curl"), got.Facts)
		b.requireStored(got)
		other, r := b.from("Chrome on Android")
		got, _, err = b.Update(other, start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}, Slide: true})
		require.NoError(t, err)
		assert.Zero(t, r.asked, "what comes out as it was is not written")
		assert.Equal(t, labeled("curl"), got.Facts)
		assert.EqualValues(t, 1, b.ClientChanges())
	})

	t.Run("without an observer they stay", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		got, _, err := b.Update(t.Context(), start, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
		require.NoError(t, err)
		assert.Equal(t, sess.Facts, got.Facts)
		next, _, err := b.Renew(t.Context(), start, sess.Key(), time.Minute)
		require.NoError(t, err)
		assert.Equal(t, sess.Facts, next.Facts)
		b.requireStored(next)
	})

	t.Run("an extension is exact", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		ctx, _ := b.from("curl")
		got, err := b.Extend(ctx, start.Add(time.Second), sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, sess.ExpiresAt.Add(time.Second), got.ExpiresAt)
		assert.Equal(t, labeled("curl"), got.Facts)
		got, err = b.Extend(ctx, start.Add(2*time.Second), sess.Key(), time.Minute)
		require.NoError(t, err)
		assert.Equal(t, at(time.Minute+2*time.Second), got.ExpiresAt)
		b.requireStored(got)
	})

	t.Run("a new id", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		ctx, _ := b.from("curl")
		next, _, err := b.Renew(ctx, start, sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, labeled("curl"), next.Facts)
		b.requireStored(next)
		ctx, _ = b.from("Chrome on Android")
		next, err = b.SignIn(ctx, start, next.Key(), patch{user: admin}, nil)
		require.NoError(t, err)
		assert.Equal(t, labeled("Chrome on Android"), next.Facts)
		b.requireStored(next)
		assert.EqualValues(t, 2, b.ClientChanges())
	})

	t.Run("changed meanwhile by another", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		b.store.before = map[string]func(){"Swap": func() {
			ctx, _ := b.from("curl")
			other := store.NewSessions(b.store.Store, &schema.Rules{}, store.Lifetimes{TTL: time.Hour, TouchInterval: interval}, store.UserLimit{})
			_, _, err := other.Access(ctx, start.Add(interval), sess.Key())
			require.NoError(t, err)
		}}
		got, _, err := b.Update(t.Context(), start.Add(interval), sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}})
		require.NoError(t, err)
		assert.Equal(t, labeled("curl"), got.Facts, "a change of the document undoes no fact")
		b.requireStored(got)
	})

	t.Run("a session that nobody wrote to stays short", func(t *testing.T) {
		b := newBench(t, store.Lifetimes{Unwritten: 10 * time.Minute, TouchInterval: interval})
		ctx, _ := b.from("Firefox on Windows")
		sess, err := b.CreateUnasked(ctx, start, schema.DefaultNamespace)
		require.NoError(t, err)
		ctx, _ = b.from("curl")
		got, moved, err := b.Access(ctx, start.Add(interval), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, 10*time.Minute, got.TTL)
		assert.Equal(t, labeled("curl"), got.Facts)
	})

	t.Run("a full store is no reason not to be used", func(t *testing.T) {
		b, sess := created(t, store.Lifetimes{})
		s := store.NewSessions(full{b.store.Store}, &schema.Rules{}, store.Lifetimes{TTL: time.Hour, TouchInterval: interval}, store.UserLimit{})
		ctx, _ := b.from("curl")
		got, moved, err := s.Access(ctx, start.Add(interval), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, sess.ExpiresAt.Add(interval), got.ExpiresAt)
		assert.Equal(t, sess.Facts, got.Facts)
		assert.Zero(t, s.ClientChanges())
		b.requireStored(got)
	})
}

// full is a store without room for more than it has.
type full struct{ backend.Store }

func (full) Swap(context.Context, time.Time, schema.Session, schema.Session) (schema.Session, error) {
	return schema.Session{}, backend.ErrFull
}

func TestRemember(t *testing.T) {
	const day = 24 * time.Hour
	yes, no := true, false
	ask := func(t *testing.T, remember *bool) context.Context {
		t.Helper()
		return store.WithObserver(t.Context(), &request{remember: remember})
	}
	life := store.Lifetimes{TTL: time.Hour, MaxTTL: 30 * day, Remember: 10 * day, Roles: roles}
	for name, tc := range map[string]struct {
		remember *bool
		change   schema.Change
		life     func(*store.Lifetimes)
		want     time.Duration
	}{
		"nothing said":                    {nil, patch{}, nil, time.Hour},
		"not remembered":                  {&no, patch{}, nil, time.Hour},
		"remembered":                      {&yes, patch{}, nil, 10 * day},
		"without a life of its own":       {&yes, patch{}, func(l *store.Lifetimes) { l.Remember = 0 }, 30 * day},
		"with a ttlMs":                    {&yes, patch{ttl: 2 * time.Hour}, nil, 2 * time.Hour},
		"with a longer ttlMs":             {&yes, patch{ttl: 20 * day}, nil, 20 * day},
		"of a role with a life":           {&yes, patch{user: admin}, nil, 10 * time.Minute},
		"within the absolute end":         {&yes, patch{}, func(l *store.Lifetimes) { l.Absolute = 2 * day }, 10 * day},
		"a visitor may only shorten that": {&yes, store.Shortening(patch{ttl: 2 * day}), nil, 2 * day},
		"and not lengthen it":             {&yes, store.Shortening(patch{ttl: 20 * day}), nil, 10 * day},
	} {
		t.Run(name, func(t *testing.T) {
			l := life
			if tc.life != nil {
				tc.life(&l)
			}
			b := newBench(t, l)
			sess, err := b.Create(ask(t, tc.remember), start, schema.DefaultNamespace, tc.change, nil)
			require.NoError(t, err)
			assert.Equal(t, tc.want, sess.TTL)
			until := at(tc.want)
			if l.Absolute > 0 {
				until = at(l.Absolute)
			}
			assert.Equal(t, until, sess.ExpiresAt)
			b.requireStored(sess)

			// And so it stays with each use.
			later := start.Add(5 * time.Minute)
			got, _, err := b.Access(t.Context(), later, sess.Key())
			require.NoError(t, err)
			assert.Equal(t, tc.want, got.TTL)
			got, _, err = b.Update(t.Context(), later, sess.Key(), store.Update{Change: patch{inputs: `{"a":1}`}, Slide: true})
			require.NoError(t, err)
			assert.Equal(t, tc.want, got.TTL)
			assert.Equal(t, sess.Facts, got.Facts)
		})
	}

	t.Run("a new id can change it", func(t *testing.T) {
		b := newBench(t, life)
		sess := b.created(patch{})
		next, _, err := b.Renew(ask(t, &yes), start, sess.Key(), 0)
		require.NoError(t, err)
		assert.Equal(t, at(10*day), next.ExpiresAt)
		b.requireStored(next)
		user := &schema.User{ID: "bob"}
		next, err = b.SignIn(ask(t, nil), start, next.Key(), patch{user: user}, nil)
		require.NoError(t, err)
		assert.Equal(t, at(10*day), next.ExpiresAt, "who says nothing changes nothing")
		next, err = b.SignIn(ask(t, &no), start, next.Key(), patch{user: user}, nil)
		require.NoError(t, err)
		assert.Equal(t, at(time.Hour), next.ExpiresAt)
		b.requireStored(next)
	})

	t.Run("a setting that changes", func(t *testing.T) {
		b := newBench(t, life)
		sess, err := b.Create(ask(t, &yes), start, schema.DefaultNamespace, patch{}, nil)
		require.NoError(t, err)
		shorter := life
		shorter.Remember = day
		after := store.NewSessions(b.store.Store, &schema.Rules{}, shorter, store.UserLimit{})
		got, moved, err := after.Access(t.Context(), start.Add(time.Minute), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, at(day+time.Minute), got.ExpiresAt)
	})
}
