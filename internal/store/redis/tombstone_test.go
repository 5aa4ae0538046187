package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// forFiveMinutes remembers what was ended.
func forFiveMinutes(o *redis.Options) { o.Tombstone = 5 * time.Minute }

// What one instance ends, no other creates again; Redis forgets it by itself.
func TestTombstonesAreSeenByEveryInstance(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server, forFiveMinutes), open(t, server, forFiveMinutes)
	now := schema.Now(ahead().Now())
	ended := map[string]schema.Session{}
	for _, how := range []string{"deleted", "cleared", "regenerated"} {
		ended[how] = create(t, one, now, spec{user: how})
	}
	deleted := ended["deleted"]
	require.NoError(t, one.Delete(t.Context(), now, deleted.Key(), 0))
	n, err := one.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "cleared"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	old := ended["regenerated"]
	require.NoError(t, one.Regenerate(t.Context(), now, old, old.WithID(schema.NewID()), now))
	for how, sess := range ended {
		require.ErrorIs(t, other.Create(t.Context(), now, sess), backend.ErrEnded, how)
		key := "{session:" + sess.ID + "}:end"
		assert.Equal(t, strconv.FormatInt(now.Add(5*time.Minute).UnixMilli(), 10), server.CLI("PEXPIRETIME", key))
		require.NoError(t, other.Create(t.Context(), now, sess, backend.Revive), how)
		ahead := strconv.FormatInt(sess.ExpiresAt.Add(5*time.Minute).UnixMilli(), 10)
		assert.Equal(t, ahead+".0", server.CLI("GET", key), "it is for when the session has expired")
		assert.Equal(t, ahead, server.CLI("PEXPIRETIME", key))
	}
}

// A session that takes an id that was ended is no longer one that was: it leaves
// the tombstone of one that expires.
func TestTombstonesOfASuccessorsID(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server, forFiveMinutes)
	now := schema.Now(ahead().Now())
	ended, sess := create(t, s, now, spec{}), create(t, s, now, spec{ttl: time.Minute})
	require.NoError(t, s.Delete(t.Context(), now, ended.Key(), 0))
	require.NoError(t, s.Regenerate(t.Context(), now, sess, sess.WithID(ended.ID), now))
	now = now.Add(time.Minute)
	require.ErrorIs(t, s.Create(t.Context(), now, newSession(t, now, spec{id: ended.ID})), backend.ErrLapsed)
	now = now.Add(5 * time.Minute)
	require.NoError(t, s.Create(t.Context(), now, newSession(t, now, spec{id: ended.ID})))
}

// With each end of a session somebody may be about to create it again: that
// comes before, or not at all.
func TestNobodyCreatesWhatWasEnded(t *testing.T) {
	server := redistest.Start(t)
	instances := []*redis.Store{open(t, server, forFiveMinutes), open(t, server, forFiveMinutes)}
	now := schema.Now(ahead().Now())
	for range 50 {
		sess := create(t, instances[0], now, spec{})
		together(8, func(i int) {
			s := instances[i%2]
			if i < 2 {
				if err := s.Delete(t.Context(), now, sess.Key(), 0); err != nil {
					assert.ErrorIs(t, err, backend.ErrNotFound)
				}
				return
			}
			for range 3 {
				err := s.Create(t.Context(), now, sess)
				assert.True(t, err == backend.ErrExists || err == backend.ErrEnded, "%v", err) //nolint:errorlint // as they are
			}
		})
		require.ErrorIs(t, instances[0].Create(t.Context(), now, sess), backend.ErrEnded)
	}
}

// Where memory is full, sessions can be ended, and stay ended.
func TestTombstonesWhereMemoryIsFull(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("8mb", "noeviction"))
	s := open(t, server, forFiveMinutes)
	now := schema.Now(ahead().Now())
	f := follow(t, s)
	var sessions []schema.Session
	for {
		sess := newSession(t, now, spec{user: "ada", note: strings.Repeat("x", 100_000)})
		if err := s.Create(t.Context(), now, sess); err != nil {
			require.ErrorIs(t, err, backend.ErrFull)
			break
		}
		sessions = append(sessions, sess)
		require.Less(t, len(sessions), 100)
		assert.Equal(t, backend.EventCreated, f.next().Type)
	}
	server.CLI("CONFIG", "SET", "maxmemory", "2mb") // far too much for one to make room
	first := sessions[0]
	_, err := s.Touch(t.Context(), now.Add(time.Second), first.Key(), now.Add(time.Second+hour))
	require.NoError(t, err)
	assert.Equal(t, backend.EventTouched, f.next().Type)
	require.NoError(t, s.Delete(t.Context(), now, first.Key(), 0))
	assert.Equal(t, backend.EventDeleted, f.next().Type)
	n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, Except: sessions[1].ID})
	require.NoError(t, err)
	assert.Equal(t, len(sessions)-2, n)
	server.CLI("CONFIG", "SET", "maxmemory", "8mb")
	require.ErrorIs(t, s.Create(t.Context(), now, first), backend.ErrEnded)
	require.ErrorIs(t, s.Create(t.Context(), now, sessions[2]), backend.ErrEnded)
}
