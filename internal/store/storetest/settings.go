package storetest

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// uses are the ways of using a session that move its deadline.
var uses = map[string]func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error){
	"Access": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Access(f.ctx(), f.now(), key)
		return sess, err
	},
	"Slide and MoveTo": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, err := s.Get(f.ctx(), f.now(), key)
		if err != nil {
			return sess, err
		}
		until, due := s.Slide(f.now(), key, &sess)
		require.True(f.t, due)
		return s.MoveTo(f.ctx(), f.now(), &sess, until)
	},
	"Extend": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		return s.Extend(f.ctx(), f.now(), key, 0)
	},
	"Update": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Update(f.ctx(), f.now(), key, store.Update{Change: count(""), Slide: true})
		return sess, err
	},
	"Update of nothing": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Update(f.ctx(), f.now(), key, store.Update{Change: edit{}, Slide: true})
		return sess, err
	},
	"Put": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Put(f.ctx(), f.now(), key, store.Update{Change: count(""), Slide: true}, false)
		return sess, err
	},
	"Renew": func(f *fixture, s *store.Sessions, key backend.Key) (schema.Session, error) {
		sess, _, err := s.Renew(f.ctx(), f.now(), key, 0)
		return sess, err
	},
}

// testSettings uses sessions that were stored under other settings: one
// store.Sessions has stored them, and another one has them now.
func testSettings(t *testing.T, open Open) {
	admin := &schema.User{ID: "ada", Email: `"roles":["guest"]`, Roles: []string{"other", "admin"}}
	roles := func(life time.Duration) store.Lifetimes {
		return store.Lifetimes{Roles: map[string]time.Duration{"admin": life, "guest": time.Second}}
	}
	all := newFixture(t, open) // empty again after each case
	for name, c := range map[string]struct {
		before, after store.Lifetimes
		user          *schema.User
		own           time.Duration
		want          time.Duration
	}{
		"a shorter idle life":             {store.Lifetimes{}, store.Lifetimes{TTL: 10 * time.Minute}, nil, 0, 10 * time.Minute},
		"a longer one":                    {store.Lifetimes{}, store.Lifetimes{TTL: 2 * ttl}, nil, 0, 2 * ttl},
		"of a session that has its own":   {store.Lifetimes{}, store.Lifetimes{TTL: 10 * time.Minute}, nil, 30 * time.Minute, 30 * time.Minute},
		"a lower most":                    {store.Lifetimes{}, store.Lifetimes{MaxTTL: 10 * time.Minute}, nil, 0, 10 * time.Minute},
		"a lower most than its own":       {store.Lifetimes{}, store.Lifetimes{MaxTTL: 10 * time.Minute}, nil, 30 * time.Minute, 10 * time.Minute},
		"a role's, which had none":        {store.Lifetimes{}, roles(10 * time.Minute), admin, 0, 10 * time.Minute},
		"a role's, shorter":               {roles(ttl), roles(10 * time.Minute), admin, 0, 10 * time.Minute},
		"a role's, longer":                {roles(ttl), roles(2 * ttl), admin, 0, 2 * ttl},
		"a role's, no longer":             {roles(10 * time.Minute), store.Lifetimes{}, admin, 0, ttl},
		"a role's, which bounds its own":  {store.Lifetimes{}, roles(10 * time.Minute), admin, 30 * time.Minute, 10 * time.Minute},
		"another role's":                  {store.Lifetimes{}, store.Lifetimes{TTL: 2 * ttl, Roles: map[string]time.Duration{"adm": 1}}, admin, 0, 2 * ttl},
		"within a limit on the whole":     {store.Lifetimes{}, store.Lifetimes{Absolute: 20 * time.Minute}, nil, 0, 15 * time.Minute},
		"within that, and a shorter idle": {store.Lifetimes{}, store.Lifetimes{TTL: 10 * time.Minute, Absolute: 20 * time.Minute}, nil, 0, 10 * time.Minute},
	} {
		for use, do := range uses {
			t.Run(name+" holds from the next use on: "+use, func(t *testing.T) {
				f := all.in(t)
				if c.after.Absolute > 0 {
					f = newFixture(t, open) // the limit is the store's from then on
				}
				sess, err := f.sessions(c.before).Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{user: c.user, ttl: c.own}, nil)
				require.NoError(t, err)
				f.clock.Advance(5 * time.Minute)
				after := f.sessions(c.after)
				if c.after.Absolute == 0 {
					f.requireStored(sess)
				}
				if _, due := after.Slide(f.now(), sess.Key(), new(f.get(sess.Key()))); !due && use == "Slide and MoveTo" {
					require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
					return // nothing to move
				}
				got, err := do(f, after, sess.Key())
				require.NoError(t, err)
				assert.Equal(t, f.now().Add(c.want), got.ExpiresAt)
				f.requireStored(got)
				f.clock.Advance(c.want - time.Millisecond)
				f.get(got.Key())
				f.clock.Advance(time.Millisecond)
				f.requireGone(got.Key())
				f.requireEmpty()
			})
		}
	}

	t.Run("a session that nobody asked for stays brief until it is written to", func(t *testing.T) {
		f := newFixture(t, open)
		life := store.Lifetimes{Unwritten: time.Minute}
		sess, err := f.sessions(life).CreateUnasked(f.ctx(), f.now(), schema.DefaultNamespace)
		require.NoError(t, err)
		f.clock.Advance(30 * time.Second)
		life.TTL = 2 * ttl
		s := f.sessions(life)
		got, moved, err := s.Access(f.ctx(), f.now(), sess.Key())
		require.NoError(t, err)
		assert.True(t, moved)
		assert.Equal(t, f.now().Add(time.Minute), got.ExpiresAt)
		got, _, err = s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: count(""), Slide: true})
		require.NoError(t, err)
		assert.Equal(t, f.now().Add(2*ttl), got.ExpiresAt)
	})

	t.Run("a session beyond a new limit on the whole life is absent", func(t *testing.T) {
		for use, do := range uses {
			if use == "Slide and MoveTo" || use == "Put" {
				continue
			}
			f := newFixture(t, open)
			sess, err := f.sessions(store.Lifetimes{}).Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
			require.NoError(t, err)
			f.clock.Advance(ttl / 2)
			_, err = do(f, f.sessions(store.Lifetimes{Absolute: ttl / 2}), sess.Key())
			require.ErrorIs(t, err, backend.ErrNotFound, use)
			f.requireGone(sess.Key())
			f.requireEmpty()
			assert.EqualValues(t, 1, f.stats().Expirations, use)
		}
	})

	t.Run("an id of one that is beyond it can be set again", func(t *testing.T) {
		f := newFixture(t, open)
		sess, err := f.sessions(store.Lifetimes{}).Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{}, nil)
		require.NoError(t, err)
		f.clock.Advance(ttl / 2)
		again, created, err := f.sessions(store.Lifetimes{Absolute: ttl / 2}).Put(f.ctx(), f.now(), sess.Key(), store.Update{Change: count("")}, false)
		require.NoError(t, err)
		assert.True(t, created)
		f.requireStored(again)
	})

	t.Run("a smaller size limit", func(t *testing.T) {
		f := newFixture(t, open)
		before := f.sessions(store.Lifetimes{})
		sess, err := before.Create(f.ctx(), f.now(), schema.DefaultNamespace, large(3000), nil)
		require.NoError(t, err)
		s := store.NewSessions(f.Store, &schema.Rules{MaxBytes: 1024}, store.Lifetimes{TTL: ttl}, store.UserLimit{})
		f.clock.Advance(time.Minute)
		sess, err = s.Extend(f.ctx(), f.now(), sess.Key(), 0)
		require.NoError(t, err)
		sess, err = s.Extend(f.ctx(), f.now(), sess.Key(), ttl/2)
		require.NoError(t, err)
		sess, _, err = s.Renew(f.ctx(), f.now(), sess.Key(), 0)
		require.NoError(t, err)
		update := func(c schema.Change) error {
			next, _, err := s.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: c})
			if err == nil {
				sess = next
			}
			return err
		}
		require.Error(t, update(large(3001)))
		require.Error(t, update(large(5000)))
		f.requireStored(sess)
		require.NoError(t, update(large(3000)), "as large as it is")
		require.NoError(t, update(large(2000)), "smaller")
		require.Error(t, update(large(2001)))
		require.NoError(t, update(large(10)))
		require.Error(t, update(large(2000)), "it is within the limit now")
		f.requireStored(sess)
		require.NoError(t, s.End(f.ctx(), f.now(), sess.Key(), nil))
	})

	t.Run("a lower number of sessions of a user", func(t *testing.T) {
		f := newFixture(t, open)
		of := func(limit store.UserLimit) *store.Sessions {
			return store.NewSessions(f.Store, &schema.Rules{}, store.Lifetimes{TTL: ttl}, limit)
		}
		create := func(s *store.Sessions) (schema.Session, error) {
			f.clock.Advance(time.Second)
			return s.Create(f.ctx(), f.now(), schema.DefaultNamespace, edit{user: admin}, nil)
		}
		all := make([]schema.Session, 5)
		for i := range all {
			var err error
			all[i], err = create(of(store.UserLimit{}))
			require.NoError(t, err)
		}
		strict := of(store.UserLimit{Max: 2})
		for _, sess := range all {
			_, _, err := strict.Update(f.ctx(), f.now(), sess.Key(), store.Update{Change: count("")})
			require.NoError(t, err)
		}
		_, err := create(strict)
		require.ErrorIs(t, err, store.ErrUserLimit)
		require.NoError(t, strict.End(f.ctx(), f.now(), all[4].Key(), nil))
		fresh, err := create(of(store.UserLimit{Max: 2, Evict: true}))
		require.NoError(t, err)
		assert.Equal(t, []string{fresh.ID, all[3].ID}, f.all())
	})
}

// large makes the inputs of a session about as large as that.
type large int

func (l large) Apply(cur schema.Sections) (schema.Sections, error) {
	text := make([]byte, l)
	for i := range text {
		text[i] = 'x'
	}
	cur.Inputs = jsontext.Value(`{"text":"` + string(text) + `"}`)
	return cur, nil
}

func (large) TTL() (time.Duration, bool) { return 0, false }
