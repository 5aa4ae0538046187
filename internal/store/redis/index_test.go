package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/redistest"
)

// later is when nobody can be about to finish what was begun before.
const later = 3 * time.Minute

// all is the total of members of all indexes.
func all(t testing.TB, client rueidis.Client) int {
	t.Helper()
	n := 0
	for _, key := range indexes(t, client) {
		n += len(members(t, client, key))
	}
	return n
}

// Entries whose session is gone lead nowhere, and are removed by whoever comes
// across them once nobody can be about to store the session.
func TestEntriesOfNoSessionAreHealed(t *testing.T) {
	for name, read := range map[string]func(t *testing.T, s backend.Store, now time.Time){
		"by lists of the user": func(t *testing.T, s backend.Store, now time.Time) { assert.Empty(t, list(t, s, now, "ada")) },
		"by lists of all":      func(t *testing.T, s backend.Store, now time.Time) { assert.Empty(t, list(t, s, now, "")) },
		"by Files":             func(t *testing.T, s backend.Store, now time.Time) { assert.Empty(t, files(t, s, now)) },
		"by HasFile": func(t *testing.T, s backend.Store, now time.Time) {
			has, err := s.HasFile(t.Context(), now, "a", "b")
			require.NoError(t, err)
			assert.False(t, has)
		},
		"by Clear of the user": func(t *testing.T, s backend.Store, now time.Time) {
			n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
			require.NoError(t, err)
			assert.Zero(t, n)
		},
		"by Clear of all": func(t *testing.T, s backend.Store, now time.Time) {
			n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
			assert.Zero(t, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s, client, now := open(t, server), raw(t, server), time.Now()
			for range 5 {
				sess := create(t, s, now, spec{user: "ada", files: []string{"a", "b"}})
				require.Equal(t, "1", server.CLI("DEL", "session:"+sess.ID))
			}
			require.Equal(t, 5*5, all(t, client))
			read(t, s, now)
			assert.Equal(t, 5*5, all(t, client), "somebody may be about to store them")
			read(t, s, now.Add(later))
			assert.Less(t, all(t, client), 5*5)
			before := all(t, client)
			read(t, s, now.Add(later))
			assert.Equal(t, before, all(t, client), "all that are come across, at once")

			n, err := s.Sweep(t.Context(), now.Add(hour))
			require.NoError(t, err)
			assert.Equal(t, 5, n)
			assert.Zero(t, all(t, client))
		})
	}
}

// What no store would write does not hurt, and does not stay once it is come
// across. (Some never is: a list reads from where its first member can be.)
func TestEntriesWrittenByHandAreHealed(t *testing.T) {
	server := redistest.Start(t)
	s, client, now := open(t, server), raw(t, server), time.Now()
	ada := create(t, s, now, spec{user: "ada", files: []string{"a"}})
	bob := create(t, s, now.Add(time.Second), spec{user: "bob"})
	keys := indexes(t, client)
	require.Contains(t, keys, "session:#user:default:ada")
	want := map[string][]string{}
	for _, key := range keys {
		want[key] = members(t, client, key)
	}
	for _, key := range keys {
		for _, garbage := range []string{"", "garbage", "h", "t", strings.Repeat("\xff", 60), strings.Repeat("\x00", 60)} {
			do(t, client, "ZADD", key, "0", garbage)
		}
		// Half of a real one, and more than one.
		do(t, client, "ZADD", key, "0", want[key][0][1:])
		do(t, client, "ZADD", key, "0", want[key][0]+"\x01")
	}
	// A real one, where it does not belong.
	do(t, client, "ZADD", "session:#user:default:bob", "0", want["session:#user:default:ada"][0])

	now = now.Add(2 * time.Second)
	assert.Equal(t, []string{ada.ID}, list(t, s, now, "ada"))
	assert.Equal(t, []string{bob.ID}, list(t, s, now, "bob"))
	assert.Equal(t, []string{bob.ID, ada.ID}, list(t, s, now, ""))
	assert.Equal(t, []string{"a"}, files(t, s, now))
	n, err := s.Sweep(t.Context(), now)
	require.NoError(t, err)
	assert.Zero(t, n)
	for _, key := range keys {
		got := members(t, client, key)
		assert.Subset(t, got, want[key], key)
		if strings.HasPrefix(key, "session:#exp:") || strings.HasPrefix(key, "session:#file:") {
			assert.Len(t, got, len(want[key]), "all was come across")
		}
	}
	assert.NotContains(t, members(t, client, "session:#user:default:bob"), want["session:#user:default:ada"][0])

	// Nobody is signed out because of one, either.
	do(t, client, "ZADD", "session:#user:default:bob", "0", want["session:#user:default:ada"][0])
	n, err = s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, []string{ada.ID}, list(t, s, now, ""))
}

// Entries that were lost, in a failover for instance, are written again when
// the sweep comes to a session that lives on.
func TestLostEntriesAreRestored(t *testing.T) {
	server := redistest.Start(t)
	s, client, now := open(t, server), raw(t, server), time.Now()
	sess := create(t, s, now, spec{user: "ada", files: []string{"a", "b"}})
	want := map[string][]string{}
	for _, key := range indexes(t, client) {
		want[key] = members(t, client, key)
		if !strings.HasPrefix(key, "session:#exp:") {
			do(t, client, "DEL", key)
		}
	}
	require.Empty(t, list(t, s, now, "ada"))
	require.Empty(t, files(t, s, now))

	halfway := now.Add(hour / 2)
	_, err := s.Touch(t.Context(), halfway, sess.Key(), halfway.Add(hour))
	require.NoError(t, err)
	n, err := s.Sweep(t.Context(), now.Add(hour))
	require.NoError(t, err)
	assert.Zero(t, n, "it lives on")
	for key, before := range want {
		assert.Equal(t, before, members(t, client, key), key)
	}
	assert.Equal(t, []string{sess.ID}, list(t, s, now.Add(hour), "ada"))
	assert.ElementsMatch(t, []string{"a", "b"}, files(t, s, now.Add(hour)))
	n, err = s.Sweep(t.Context(), halfway.Add(hour))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, "{session:}:deployment", server.CLI("KEYS", "*"))
}

// Redis frees sessions by itself. The sweep of any number of instances removes
// their entries, and each is counted once.
func TestSweepFollowsTheServersOwnExpiry(t *testing.T) {
	server := redistest.Start(t)
	one, other, client := open(t, server), open(t, server), raw(t, server)
	now := time.Now()
	const many = 300
	for range many {
		create(t, one, now, spec{user: "ada", files: []string{"a", "b"}, ttl: 100 * time.Millisecond})
	}
	stays := create(t, one, now, spec{user: "ada", files: []string{"a"}})
	require.Eventually(t, func() bool {
		return server.CLI("EVAL", "local n = 0 for _, k in ipairs(redis.call('KEYS', 'session:[^#]*')) do n = n + 1 end return n", "0") == "1"
	}, patience, 10*time.Millisecond)

	swept := make(chan int, 2)
	for _, s := range []backend.Store{one, other} {
		go func() {
			n, err := s.Sweep(t.Context(), time.Now())
			assert.NoError(t, err)
			swept <- n
		}()
	}
	assert.Equal(t, many, <-swept+<-swept)
	assert.Equal(t, 4, all(t, client), "of the one that stays")
	assert.Equal(t, []string{stays.ID}, list(t, one, now, "ada"))
	assert.EqualValues(t, 1, entries(t, other))
}

// A session with more files than its entry lists loses those entries when
// somebody reads them.
func TestManyFilesAreHealedByReaders(t *testing.T) {
	server := redistest.Start(t)
	s, client, now := open(t, server), raw(t, server), time.Now()
	var paths []string
	for n := range 100 {
		paths = append(paths, strings.Repeat("p", 50)+string(rune('a'+n%26))+strings.Repeat("q", n/26))
	}
	sess := create(t, s, now, spec{files: paths})
	assert.ElementsMatch(t, paths, files(t, s, now))
	require.Equal(t, "1", server.CLI("DEL", "session:"+sess.ID))
	n, err := s.Sweep(t.Context(), now.Add(hour))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, 100, all(t, client))
	assert.Empty(t, files(t, s, now.Add(hour)))
	assert.Equal(t, "{session:}:deployment", server.CLI("KEYS", "*"))

	// Ended by the store, it leaves none to begin with.
	sess = create(t, s, now, spec{files: paths})
	require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
	assert.Equal(t, "{session:}:deployment", server.CLI("KEYS", "*"))
}

// A Redis that lost its data looks like ended sessions.
func TestLostDataIsEndedSessions(t *testing.T) {
	server := redistest.Start(t)
	s, now := open(t, server), time.Now()
	sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})
	server.CLI("FLUSHALL")
	server.CLI("SCRIPT", "FLUSH")
	_, err := s.Get(t.Context(), now, sess.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	_, err = s.Swap(t.Context(), now, sess, revised(t, now, sess, spec{}))
	require.ErrorIs(t, err, backend.ErrNotFound)
	require.ErrorIs(t, s.Delete(t.Context(), now, sess.Key(), 0), backend.ErrNotFound)
	assert.Empty(t, list(t, s, now, "ada"))
	assert.Empty(t, files(t, s, now))
	create(t, s, now, spec{})
	assert.EqualValues(t, 1, entries(t, s))
}
