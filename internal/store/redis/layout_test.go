package redis_test

import (
	"encoding/json"
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

// What somebody sees who looks with redis-cli, or reads sessions in another
// language.
func TestSessionsAreJSONForOthers(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := time.Now()
	sess := create(t, s, now, spec{user: "ada", note: "text", files: []string{"a"}})

	key := "session:" + sess.ID
	assert.Equal(t, "string", server.CLI("TYPE", key))
	text := server.CLI("GET", key)
	var seen map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &seen))
	delete(seen, "stored")
	var want map[string]any
	require.NoError(t, json.Unmarshal([]byte(document(sess)), &want))
	assert.Equal(t, want, seen)
	assert.Equal(t, strconv.FormatInt(sess.ExpiresAt.UnixMilli(), 10), server.CLI("PEXPIRETIME", key))

	// A touch writes no document.
	later := now.Add(time.Minute)
	touched, err := s.Touch(t.Context(), later, sess.Key(), later.Add(hour))
	require.NoError(t, err)
	assert.Equal(t, text, server.CLI("GET", key))
	assert.Equal(t, strconv.FormatInt(touched.ExpiresAt.UnixMilli(), 10), server.CLI("PEXPIRETIME", key))

	other := create(t, s, now, spec{namespace: "shop", id: sess.ID})
	assert.Contains(t, server.CLI("GET", "session:shop:"+other.ID), other.ID)

	next := touched.WithID(schema.NewID())
	require.NoError(t, s.Regenerate(t.Context(), later, touched, next, later.Add(time.Minute)))
	assert.Empty(t, server.CLI("GET", key), "dead at once")
	assert.Contains(t, server.CLI("GET", "{"+key+"}:to"), next.ID)
	assert.Equal(t, strconv.FormatInt(later.Add(time.Minute).UnixMilli(), 10), server.CLI("PEXPIRETIME", "{"+key+"}:to"))
	require.NoError(t, json.Unmarshal([]byte(server.CLI("GET", "session:"+next.ID)), &seen))
	assert.Equal(t, next.ID, seen["id"])
}

func TestCompressedSessionsAreToldByTheirFirstBytes(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server, func(o *redis.Options) { o.CompressOver = 10_240 })
	now := time.Now()
	small := create(t, s, now, spec{note: strings.Repeat("a", 9_000)})
	large := create(t, s, now, spec{note: strings.Repeat("a", 11_000)})
	assert.Equal(t, `{"id"`, server.CLI("GETRANGE", "session:"+small.ID, "0", "4"))
	assert.Equal(t, "\x00zst", server.CLI("GETRANGE", "session:"+large.ID, "0", "3"))
	length, err := strconv.Atoi(server.CLI("STRLEN", "session:"+large.ID))
	require.NoError(t, err)
	assert.Less(t, length, 1_000)

	// Who compresses nothing reads it nevertheless, and writes it as it is.
	plain := open(t, server)
	got, err := plain.Get(t.Context(), now, large.Key())
	require.NoError(t, err)
	assert.Equal(t, document(large), document(got))
	_, err = plain.Swap(t.Context(), now, got, revised(t, now, got, spec{note: strings.Repeat("b", 11_000)}))
	require.NoError(t, err)
	assert.Equal(t, `{"id"`, server.CLI("GETRANGE", "session:"+large.ID, "0", "4"))
}

func TestNothingIsLeft(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := time.Now()
	for n := range 50 {
		sess := create(t, s, now, spec{user: "ada", files: []string{"a", strconv.Itoa(n)}})
		next := revised(t, now, sess, spec{user: "bob", files: []string{"b"}})
		_, err := s.Swap(t.Context(), now, sess, next)
		require.NoError(t, err)
		third := next.WithID(schema.NewID())
		require.NoError(t, s.Regenerate(t.Context(), now, next, third, now))
		if n%2 == 0 {
			require.NoError(t, s.Delete(t.Context(), now, third.Key(), 0))
		}
	}
	n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	assert.Equal(t, 25, n)
	assert.Equal(t, "{session:}:deployment", server.CLI("KEYS", "*"))
}

func TestPrefixesShareNothing(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server, withPrefix("one:")), open(t, server, withPrefix("other:"))
	now := time.Now()
	sess := create(t, one, now, spec{user: "ada", files: []string{"a"}})
	_, err := other.Get(t.Context(), now, sess.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	assert.Empty(t, list(t, other, now, "ada"))
	assert.Empty(t, files(t, other, now))
	assert.Zero(t, entries(t, other))
	n, err := other.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Equal(t, []string{sess.ID}, list(t, one, now, "ada"))
}

// A foreign value is never taken for a session, overwritten or removed.
func TestForeignValues(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := time.Now()
	for name, put := range map[string][]string{
		"text":                {"SET", "", "hello", "PX", "100000"},
		"text that stays":     {"SET", "", "hello"},
		"an Express session":  {"SET", "", `{"cookie":{"originalMaxAge":86400000},"user":1}`, "PX", "100000"},
		"a cut session":       {"SET", "", `{"id":"`, "PX", "100000"},
		"a list":              {"RPUSH", "", "a"},
		"something not ended": {"SET", "", "\x00zst", "PX", "100000"},
	} {
		t.Run(name, func(t *testing.T) {
			sess := newSession(t, now, spec{user: "ada", files: []string{"a"}})
			key := "session:" + sess.ID
			put[1] = key
			server.CLI(put...)
			before := server.CLI("DUMP", key)

			gone := func(err error) {
				t.Helper()
				assert.ErrorIs(t, err, backend.ErrDamaged)
				assert.NotErrorIs(t, err, backend.ErrUnavailable, "it is this key's fault alone")
			}
			_, err := s.Get(t.Context(), now, sess.Key())
			gone(err)
			gone(s.Create(t.Context(), now, sess))
			_, err = s.Swap(t.Context(), now, sess, revised(t, now, sess, spec{}))
			gone(err)
			_, err = s.Touch(t.Context(), now, sess.Key(), now.Add(2*hour))
			gone(err)
			gone(s.Delete(t.Context(), now, sess.Key(), 1))
			gone(s.Regenerate(t.Context(), now, sess, sess.WithID(schema.NewID()), now))
			assert.Equal(t, before, server.CLI("DUMP", key))

			// Entries that lead there lead nowhere.
			assert.Empty(t, list(t, s, now, "ada"))
			assert.Empty(t, files(t, s, now))
			n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
			require.NoError(t, err)
			assert.Zero(t, n)
			_, err = s.Sweep(t.Context(), now.Add(3*hour))
			require.NoError(t, err)
			assert.Zero(t, entries(t, s))
			assert.Equal(t, before, server.CLI("DUMP", key))

			// It can be removed, and is then as ended as any other.
			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
			assert.Empty(t, server.CLI("DUMP", key))
			require.ErrorIs(t, s.Delete(t.Context(), now, sess.Key(), 0), backend.ErrNotFound)
			require.NoError(t, s.Create(t.Context(), now, sess))
			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
		})
	}
}
