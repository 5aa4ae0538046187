package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// losing is a store whose changes are made, and whose answers are lost, as often as it
// says.
type losing struct {
	backend.Store
	mu   sync.Mutex
	left int
	// instead is called in the place of a change, after it.
	instead func()
}

func (l *losing) Unwrap() backend.Store { return l.Store }

// answer returns what comes of a change.
func (l *losing) answer(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.left == 0 {
		return err
	}
	l.left--
	if l.instead != nil {
		l.instead()
	}
	return fmt.Errorf("%w: the answer was lost", backend.ErrUnavailable)
}

func (l *losing) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	return l.answer(l.Store.Create(ctx, now, sess, opts...))
}

func (l *losing) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	got, err := l.Store.Swap(ctx, now, old, next)
	return got, l.answer(err)
}

func (l *losing) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	return l.answer(l.Store.Regenerate(ctx, now, old, next, graceUntil))
}

// attempted is an operation of store.Sessions that is repeated until it has an answer.
type attempted struct {
	// run does it to the session of the key, with edit.
	run func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error)
	// makes: it makes a session, which has an id of its own; otherwise it changes one.
	makes bool
	// beside: the session that there was is still there.
	beside bool
	// follows: the key still leads to what was made.
	follows bool
	// counts is how often inputs.n is counted up.
	counts int
}

var attemptedOperations = map[string]attempted{
	"create": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		return s.Create(ctx, f.now(), key.Namespace, count(""), nil)
	}, true, true, false, 1},
	"create in place": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		return s.CreateInPlace(ctx, f.now(), key, count(""), nil)
	}, true, true, false, 1},
	"create unasked": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		return s.CreateUnasked(ctx, f.now(), key.Namespace)
	}, true, true, false, 0},
	"renew": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, made, err := s.Renew(ctx, f.now(), key, 0)
		if err == nil && !made {
			err = errors.New("another made it")
		}
		return sess, err
	}, true, false, false, 0},
	"renew with a grace": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, made, err := s.Renew(ctx, f.now(), key, time.Minute)
		if err == nil && !made {
			err = errors.New("another made it")
		}
		return sess, err
	}, true, false, true, 0},
	"sign in": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		signIn := count("")
		signIn.user = &schema.User{ID: "ada", Roles: []string{}}
		return s.SignIn(ctx, f.now(), key, signIn, nil)
	}, true, false, false, 1},
	"update": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Update(ctx, f.now(), key, store.Update{Change: count(""), Slide: true})
		return sess, err
	}, false, true, true, 1},
	"update of a user": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		change := count("")
		change.user = &schema.User{ID: "ada", Roles: []string{}}
		sess, _, err := s.Update(ctx, f.now(), key, store.Update{Change: change})
		return sess, err
	}, false, true, true, 1},
	"put": {func(ctx context.Context, f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Put(ctx, f.now(), key, store.Update{Change: count("")}, false)
		return sess, err
	}, false, true, true, 1},
}

// attempt returns the context of an attempt at the request of that name.
func (f *fixture) attempt(name string) context.Context {
	mark := (name + strings.Repeat("-", schema.MarkLen))[:schema.MarkLen]
	return store.WithAttempt(f.ctx(), store.Attempt{NewID: testID(0) + "-" + mark, Mark: mark})
}

// testAttempts is about what several attempts at one request do by store.Sessions.
func testAttempts(t *testing.T, open Open) {
	for name, op := range attemptedOperations {
		t.Run(name, func(t *testing.T) { op.test(t, open) })
	}

	t.Run("the last four changes are known", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.attempt("create"), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		change := func(name string) float64 {
			got, _, err := s.Update(f.attempt(name), f.now(), sess.Key(), store.Update{Change: count("")})
			require.NoError(t, err)
			n, _ := inputs(t, got)["n"].(float64)
			return n
		}
		for n := range 4 {
			require.InDelta(t, n+1, change(fmt.Sprint("update ", n)), 0)
		}
		for n := range 4 {
			require.InDelta(t, 4, change(fmt.Sprint("update ", n)), 0)
		}
		require.InDelta(t, 5, change("update 4"), 0)
		require.InDelta(t, 5, change("update 1"), 0)
		require.InDelta(t, 6, change("update 0"), 0, "one that is forgotten")

		// Whoever else changes the session takes them along.
		_, err = s.Extend(f.ctx(), f.now(), sess.Key(), time.Minute)
		require.NoError(t, err)
		next, _, err := s.Renew(f.ctx(), f.now(), sess.Key(), 0)
		require.NoError(t, err)
		sess = next
		require.InDelta(t, 6, change("update 4"), 0)
	})

	t.Run("what changes nothing takes no place", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		got, _, err := s.Update(f.attempt("nothing"), f.now(), sess.Key(), store.Update{Change: edit{}, Slide: true})
		require.NoError(t, err)
		require.Equal(t, sess.Facts, got.Facts)
		require.Equal(t, sess.Revision, got.Revision)
	})

	t.Run("other requests make other sessions", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		one, err := s.Create(f.attempt("one"), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		two, err := s.Create(f.attempt("two"), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		require.NotEqual(t, one.ID, two.ID)
		// Somebody's session of that id is not what a request made.
		f.created(spec{id: testID(0) + "-" + strings.Repeat("-", schema.MarkLen)})
		_, err = s.Create(f.attempt(""), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.ErrorIs(t, err, backend.ErrUnavailable)
		require.EqualValues(t, 3, f.stats().Entries)
	})
}

// test checks that any number of attempts, whatever happens to them, are as one.
func (op *attempted) test(t *testing.T, open Open) {
	t.Helper()
	begin := func(t *testing.T) (*fixture, *losing, *store.Sessions, backend.Key) {
		t.Helper()
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		l := &losing{Store: f.Store}
		f.Store = l
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		return f, l, s, sess.Key()
	}
	// made checks that the sessions are those that one attempt leaves.
	made := func(t *testing.T, f *fixture, got schema.Session) {
		t.Helper()
		entries := 1
		if op.makes && op.beside {
			entries = 2
		}
		require.EqualValues(t, entries, f.stats().Entries)
		stored := f.get(got.Key())
		n, _ := inputs(t, stored)["n"].(float64)
		require.InDelta(t, op.counts, n, 0)
	}

	t.Run("an answer is lost", func(t *testing.T) {
		f, l, s, key := begin(t)
		ctx := f.attempt("a")
		l.left = 1
		_, err := op.run(ctx, f, s, key)
		require.ErrorIs(t, err, backend.ErrUnavailable)
		f.clock.Advance(time.Second)
		got, err := op.run(ctx, f, s, key)
		require.NoError(t, err)
		f.requireStored(got)
		made(t, f, got)
		again, err := op.run(ctx, f, f.sessions(store.Lifetimes{}), key) // another process
		require.NoError(t, err)
		requireSame(t, got, again)
		made(t, f, got)

		// The next request is another one.
		if !op.makes || op.beside {
			other, err := op.run(f.attempt("b"), f, s, key)
			require.NoError(t, err)
			require.Equal(t, op.makes, other.ID != got.ID)
			n, _ := inputs(t, other)["n"].(float64)
			want := op.counts
			if !op.makes {
				want *= 2
			}
			require.InDelta(t, want, n, 0)
		}
	})

	t.Run("many at the same time", func(t *testing.T) {
		f, l, s, key := begin(t)
		l.left = 1
		processes := []*store.Sessions{s, f.sessions(store.Lifetimes{})}
		ctx := f.attempt("a")
		together(crowd, func(i int) {
			got, err := op.run(ctx, f, processes[i%2], key)
			for tries := 0; errors.Is(err, backend.ErrUnavailable) && tries < 100; tries++ {
				got, err = op.run(ctx, f, processes[i%2], key)
			}
			if assert.NoError(t, err) && op.makes {
				assert.Equal(t, testID(0)+"-a"+strings.Repeat("-", schema.MarkLen-1), got.ID)
			}
		})
		require.False(t, t.Failed())
		got, err := op.run(ctx, f, s, key)
		require.NoError(t, err)
		made(t, f, got)
	})

	t.Run("others change it meanwhile", func(t *testing.T) {
		f, l, s, key := begin(t)
		others := store.NewSessions(l.Store, &schema.Rules{}, store.Lifetimes{TTL: ttl}, store.UserLimit{})
		ctx := f.attempt("a")
		at := key
		if op.makes {
			at.ID = testID(0) + "-a" + strings.Repeat("-", schema.MarkLen-1)
		}
		l.left = 1
		l.instead = func() {
			_, _, err := others.Update(f.ctx(), f.now(), at, store.Update{Change: edit{inputs: func(in map[string]any) { in["other"] = true }}})
			assert.NoError(t, err)
		}
		_, err := op.run(ctx, f, s, key)
		require.ErrorIs(t, err, backend.ErrUnavailable)
		got, err := op.run(ctx, f, s, key)
		require.NoError(t, err)
		require.Equal(t, true, inputs(t, got)["other"])
		made(t, f, got)

		// And give it a new id, from which the grace leads on.
		next, _, err := others.Renew(f.ctx(), f.now(), at, time.Minute)
		require.NoError(t, err)
		if again, err := op.run(ctx, f, s, key); op.makes || op.follows && err == nil {
			require.NoError(t, err)
			requireSame(t, next, again)
		}
		made(t, f, next)
	})

	t.Run("others end it meanwhile", func(t *testing.T) {
		f, l, s, key := begin(t)
		ctx := f.attempt("a")
		l.left = 1
		_, err := op.run(ctx, f, s, key)
		require.ErrorIs(t, err, backend.ErrUnavailable)
		_, err = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: key.Namespace})
		require.NoError(t, err)
		_, err = op.run(ctx, f, s, key)
		require.Error(t, err)
		require.NotErrorIs(t, err, backend.ErrUnavailable)
		require.Zero(t, f.stats().Entries, "what was ended stays so")
	})
}
