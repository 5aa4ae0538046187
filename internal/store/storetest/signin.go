package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

// testSignIn is about what opened a session before its user was another: whoever
// planted it in somebody's browser must not get in with them.
func testSignIn(t *testing.T, open Open) {
	const grace = 10 * time.Second

	for name, users := range map[string][2]string{
		"from nobody":  {"", "ada"},
		"to nobody":    {"ada", ""},
		"from another": {"ada", "bob"},
	} {
		t.Run("a change of the user ends the grace: "+name, func(t *testing.T) {
			f := newFixture(t, open)
			old := f.created(spec{user: users[0], note: "a"})
			next := f.regenerated(old, grace)
			requireSame(t, next, f.get(old.Key()))
			other := f.created(spec{user: users[0]})
			otherNext := f.regenerated(other, grace)

			changed := f.revised(next, spec{user: users[1], note: "a"})
			got, err := f.Swap(f.ctx(), f.now(), next, changed)
			require.NoError(t, err)
			requireSame(t, changed, got)
			f.requireGone(old.Key())
			f.requireStored(changed)
			requireSame(t, otherNext, f.get(other.Key()))

			back := f.revised(got, spec{user: users[0], note: "a"})
			_, err = f.Swap(f.ctx(), f.now(), got, back)
			require.NoError(t, err)
			f.requireGone(old.Key())
			f.requireStored(back)

			third := f.regenerated(back, grace)
			requireSame(t, third, f.get(back.Key()))
			f.requireGone(old.Key())
		})

		t.Run("there is no grace into another user's session: "+name, func(t *testing.T) {
			f := newFixture(t, open)
			first := f.created(spec{user: users[0]})
			old := f.regenerated(first, grace)
			next := f.build(old.WithID(schema.NewID()), spec{user: users[1], note: "signed in"})
			require.NoError(t, f.Regenerate(f.ctx(), f.now(), old, next, f.now().Add(grace)))
			f.requireGone(old.Key())
			f.requireGone(first.Key())
			f.requireStored(next)
		})
	}

	t.Run("other changes leave the grace", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{user: "ada"})
		next := f.regenerated(old, grace)
		changed := f.revised(next, spec{user: "ada", note: "b", files: []string{"b"}})
		_, err := f.Swap(f.ctx(), f.now(), next, changed)
		require.NoError(t, err)
		requireSame(t, changed, f.get(old.Key()))
	})

	t.Run("no reader of the old key sees the other user", func(t *testing.T) {
		f := newFixture(t, open)
		for range 20 {
			old := f.created(spec{})
			next := f.regenerated(old, grace)
			changed := f.revised(next, spec{user: "ada"})
			f.together(
				func() {
					_, err := f.Swap(f.ctx(), f.now(), next, changed)
					assert.NoError(t, err)
				},
				func() { f.lookForUser(old.Key()) },
				func() { f.lookForUser(old.Key()) },
			)
			f.requireGone(old.Key())
		}
	})

	// Of a sign-in and a regenerate with a grace, one takes place.
	t.Run("one of two", func(t *testing.T) {
		f := newFixture(t, open)
		for range soaktest.Times(15, 50) {
			old := f.created(spec{})
			mine := f.build(old.WithID(schema.NewID()), spec{user: "ada"})
			theirs := old.WithID(schema.NewID())
			var signIn, plant error
			f.together(
				func() { signIn = f.Regenerate(f.ctx(), f.now(), old, mine, f.now()) },
				func() { plant = f.Regenerate(f.ctx(), f.now(), old, theirs, f.now().Add(grace)) },
				func() { f.lookForUser(old.Key()) },
			)
			f.lookForUser(old.Key())
			if signIn == nil {
				require.ErrorIs(t, plant, backend.ErrNotFound)
				f.requireGone(old.Key())
				f.requireGone(theirs.Key())
				f.requireStored(mine)
			} else {
				require.ErrorIs(t, signIn, backend.ErrNotFound)
				require.NoError(t, plant)
				f.requireGone(mine.Key())
				requireSame(t, theirs, f.get(old.Key()))
			}
		}
	})
}

// lookForUser checks that the key leads to no session with a user.
func (f *fixture) lookForUser(key backend.Key) {
	for range 5 {
		sess, err := f.Peek(f.ctx(), f.now(), key)
		if errors.Is(err, backend.ErrNotFound) {
			continue
		}
		if assert.NoError(f.t, err) {
			assert.Empty(f.t, sess.UserID)
		}
	}
}

// together runs the functions at the same time.
func (f *fixture) together(all ...func()) {
	var ready, done sync.WaitGroup
	ready.Add(len(all))
	for _, run := range all {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			run()
		})
	}
	done.Wait()
}
