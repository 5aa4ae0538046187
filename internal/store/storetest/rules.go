package storetest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// edit is a schema.Change that a case writes as a function of the inputs.
type edit struct {
	inputs func(in map[string]any)
	user   *schema.User
	ttl    time.Duration
}

func (e edit) Apply(cur schema.Sections) (schema.Sections, error) {
	if e.user != nil {
		cur.User = e.user
	}
	if e.inputs == nil {
		return cur, nil
	}
	in := map[string]any{}
	if err := json.Unmarshal(cur.Inputs, &in); err != nil {
		return cur, err
	}
	e.inputs(in)
	out, err := json.Marshal(in)
	cur.Inputs = out
	return cur, err
}

func (e edit) TTL() (time.Duration, bool) { return e.ttl, e.ttl > 0 }

// count is a change that counts up inputs.n, and notes the name.
func count(name string) edit {
	return edit{inputs: func(in map[string]any) {
		n, _ := in["n"].(float64)
		in["n"] = n + 1
		if name != "" {
			in[name] = true
		}
	}}
}

// inputs reads the inputs of a session.
func inputs(t testing.TB, sess schema.Session) map[string]any {
	t.Helper()
	sections, err := sess.Sections()
	require.NoError(t, err)
	in := map[string]any{}
	require.NoError(t, json.Unmarshal(sections.Inputs, &in))
	return in
}

// sessions returns store.Sessions on the fixture's store.
func (f *fixture) sessions(life store.Lifetimes) *store.Sessions {
	if life.TTL == 0 {
		life.TTL = ttl
	}
	return store.NewSessions(f.Store, &schema.Rules{}, life, store.UserLimit{})
}

// testSessions runs what store.Sessions promises on the store: lifetimes that
// no store may bend, and changes that survive the ways of this one.
func testSessions(t *testing.T, open Open) {
	t.Run("a session's life, to its absolute end", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{Absolute: 3 * ttl})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		f.requireStored(sess)
		for range 5 {
			f.clock.Advance(ttl / 2)
			_, moved, err := s.Access(f.ctx(), f.now(), sess.Key())
			require.NoError(t, err)
			require.Equal(t, f.now().Sub(sess.CreatedAt) <= 2*ttl, moved, "until the cap is reached")
		}
		f.clock.Advance(ttl/2 - time.Millisecond)
		f.get(sess.Key())
		f.clock.Advance(time.Millisecond)
		f.requireGone(sess.Key())
	})

	t.Run("a role's idle life", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{Roles: map[string]time.Duration{"admin": time.Minute}})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		admin := edit{user: &schema.User{ID: "ada", Roles: []string{"admin"}}}
		sess, _, err = s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: admin})
		require.NoError(t, err)
		assert.Equal(t, f.now().Add(time.Minute), sess.ExpiresAt)
		f.requireStored(sess)
		f.clock.Advance(time.Minute)
		f.requireGone(sess.Key())
	})

	t.Run("an update after the end is none", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		// The session ends while the change is being worked out.
		ended := store.Update{Change: edit{inputs: func(in map[string]any) {
			in["late"] = true
			require.NoError(t, s.End(f.ctx(), f.now(), sess.Key(), nil))
		}}}
		_, _, err = s.Update(f.ctx(), f.now(), sess.Key(), ended)
		require.ErrorIs(t, err, backend.ErrNotFound)
		f.requireGone(sess.Key())
		f.requireEmpty()
	})

	t.Run("a change of the whole meanwhile is seen", func(t *testing.T) {
		f := newFixture(t, open)
		s, other := f.sessions(store.Lifetimes{}), f.sessions(store.Lifetimes{}) // another process
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		meddled := false
		change := edit{inputs: func(in map[string]any) {
			if !meddled {
				meddled = true
				_, _, err := other.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: count("other")})
				require.NoError(t, err)
			}
			count("own").inputs(in)
		}}
		sess, _, err = s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: change})
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"n": 2.0, "own": true, "other": true}, inputs(t, sess))
		assert.EqualValues(t, 3, sess.Revision)
		f.requireStored(sess)
	})

	t.Run("of two with one ETag the second is refused", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		refused := errors.New("refused")
		u := store.Update{Change: count(""), If: func(cur schema.Session) error {
			if cur.ETag() != sess.ETag() {
				return refused
			}
			return nil
		}}
		_, _, err = s.Update(f.ctx(), f.now(), sess.Key(), u)
		require.NoError(t, err)
		_, _, err = s.Update(f.ctx(), f.now(), sess.Key(), u)
		require.ErrorIs(t, err, refused)
	})

	t.Run("renewal and the end of it", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.sessions(store.Lifetimes{})
		sess, err := s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		next, made, err := s.Renew(f.ctx(), f.now(), sess.Key(), time.Minute)
		require.NoError(t, err)
		require.True(t, made)
		again, made, err := s.Renew(f.ctx(), f.now(), sess.Key(), time.Minute)
		require.NoError(t, err)
		require.False(t, made)
		requireSame(t, next, again)
		changed, _, err := s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: count("")})
		require.NoError(t, err)
		require.Equal(t, next.Key(), changed.Key(), "in its grace an old key stands for the successor's")
		f.requireStored(changed)
		extended, err := s.Extend(f.ctx(), f.now(), sess.Key(), 2*time.Hour)
		require.NoError(t, err)
		require.Equal(t, next.Key(), extended.Key())
		f.requireStored(extended)
		require.NoError(t, s.End(f.ctx(), f.now(), sess.Key(), nil))
		f.requireGone(next.Key())
		f.requireGone(sess.Key())
		f.requireEmpty()
	})

	t.Run("changes on their way beside a renewal with a grace", func(t *testing.T) {
		f := newFixture(t, open)
		// As of two instances: one's writers do not take turns with the other.
		here, there := f.sessions(store.Lifetimes{}), f.sessions(store.Lifetimes{})
		for range 20 {
			sess, err := here.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
			require.NoError(t, err)
			const writers = 8
			var next schema.Session
			together(writers+1, func(i int) {
				if i == writers {
					var err error
					next, _, err = there.Renew(f.ctx(), f.now(), sess.Key(), time.Minute)
					assert.NoError(t, err)
					return
				}
				_, _, err := here.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: count("")})
				assert.NoError(t, err)
			})
			got := f.get(next.Key())
			require.EqualValues(t, writers, inputs(t, got)["n"], "none is lost")
		}
	})
}
