package redis_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
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

// foreignDoc is what a Node service stores, with its own spaces and order.
func foreignDoc(id string) string {
	return fmt.Sprintf(`{ "createdAt": "2026-11-21T17:04:05Z", "id": %q,
		"results": {"analysis": {"files": ["a"]}}, "user": {"id": "ada"}, "inputs": {"n": 1.50}, "apiConfig": {}, "meta": {} }`, id)
}

// A session that another program wrote in the documented shape is read as it is,
// and is one like any other from its first change on.
func TestSessionsOfOtherProgramsAreReadAndAdopted(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *redis.Store, now time.Time, old schema.Session) schema.Session{
		"Swap": func(t *testing.T, s *redis.Store, now time.Time, old schema.Session) schema.Session {
			next, err := s.Swap(t.Context(), now, old, revised(t, now, old, spec{user: "ada", files: []string{"a"}, note: "new"}))
			require.NoError(t, err)
			return next
		},
		"Touch": func(t *testing.T, s *redis.Store, now time.Time, old schema.Session) schema.Session {
			now = now.Add(time.Minute)
			next, err := s.Touch(t.Context(), now, old.Key(), now.Add(24*hour))
			require.NoError(t, err)
			assert.Equal(t, now.Add(24*hour), next.ExpiresAt)
			return next
		},
		"Regenerate": func(t *testing.T, s *redis.Store, now time.Time, old schema.Session) schema.Session {
			next := old.WithID(schema.NewID())
			require.NoError(t, s.Regenerate(t.Context(), now, old, next, now.Add(time.Minute)))
			return next
		},
	} {
		for _, ttl := range []string{"PX", ""} {
			t.Run(name+ttl, func(t *testing.T) {
				server := redistest.Start(t)
				s := open(t, server)
				now := schema.Now(time.Now())
				id := schema.NewID()
				put := []string{"SET", "session:" + id, foreignDoc(id)}
				if ttl != "" {
					put = append(put, ttl, "3600000")
				}
				server.CLI(put...)
				got, err := s.Get(t.Context(), now, backend.Key{Namespace: schema.DefaultNamespace, ID: id})
				require.NoError(t, err)
				assert.EqualValues(t, 1, got.Revision)
				assert.Equal(t, "ada", got.UserID)
				assert.Equal(t, []string{"a"}, got.Files)
				assert.Contains(t, document(got), `"inputs":{"n":1.50}`, "digit for digit")
				assert.True(t, json.Valid([]byte(document(got))))
				assert.Equal(t, put[2], server.CLI("GET", "session:"+id), "a read writes nothing")

				f := follow(t, s)
				next := change(t, s, now, got)
				again, err := s.Get(t.Context(), now, next.Key())
				require.NoError(t, err)
				assert.Equal(t, document(next), document(again))
				assert.Equal(t, []string{next.ID}, list(t, s, now, "ada"))
				assert.Equal(t, []string{next.ID}, list(t, s, now, ""))
				assert.Equal(t, 1, counted(t, s, now, backend.Filter{UserID: "ada"}))
				assert.Equal(t, []string{"a"}, files(t, s, now))
				if name != "Touch" || ttl != "" { // otherwise adopting it gave it that deadline
					assert.Equal(t, next.ID, f.next().Session.ID)
				}
				assert.Positive(t, mustInt(t, server.CLI("PEXPIRETIME", "session:"+next.ID)), "it has a deadline by now")
				require.NoError(t, s.Delete(t.Context(), now, next.Key(), next.Revision))
				_, err = s.Get(t.Context(), now, next.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
			})
		}
	}
}

func mustInt(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// It can be ended without having been changed, and a write that was worked out
// from what another program has changed since is refused.
func TestSessionsOfOtherProgramsThatAreNotAdopted(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := schema.Now(time.Now())
	id := schema.NewID()
	key := backend.Key{Namespace: schema.DefaultNamespace, ID: id}
	server.CLI("SET", "session:"+id, foreignDoc(id), "PX", "3600000")
	old, err := s.Peek(t.Context(), now, key)
	require.NoError(t, err)
	server.CLI("SET", "session:"+id, strings.Replace(foreignDoc(id), "1.50", "2", 1), "PX", "3600000")
	_, err = s.Swap(t.Context(), now, old, revised(t, now, old, spec{}))
	require.ErrorIs(t, err, backend.ErrConflict)
	require.ErrorIs(t, s.Regenerate(t.Context(), now, old, old.WithID(schema.NewID()), now), backend.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), now, key, 7), backend.ErrConflict)
	require.NoError(t, s.Delete(t.Context(), now, key, 0))
	_, err = s.Get(t.Context(), now, key)
	require.ErrorIs(t, err, backend.ErrNotFound)
	assert.Empty(t, list(t, s, now, ""))
}

// A program that reads a session and writes it back, without the members that it
// does not know and without its deadline, changes it like anybody else: it stays
// listed and counted, its files stay, and its user can be signed out.
func TestSessionsThatOtherProgramsRewrite(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("what it does not know is kept: %t", kept), func(t *testing.T) {
			server := redistest.Start(t)
			s := open(t, server)
			now := schema.Now(time.Now())
			sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})
			var doc map[string]any
			require.NoError(t, json.Unmarshal([]byte(server.CLI("GET", "session:"+sess.ID)), &doc))
			if !kept {
				for _, name := range []string{"stored", "revision", "version", "updatedAt", "expiresAt"} {
					delete(doc, name)
				}
			}
			doc["meta"] = map[string]any{"seen": true}
			text, err := json.MarshalIndent(doc, "", "  ")
			require.NoError(t, err)
			server.CLI("SET", "session:"+sess.ID, string(text))

			for _, at := range []time.Time{now, now.Add(later)} {
				got, err := s.Get(t.Context(), at, sess.Key())
				require.NoError(t, err)
				assert.Contains(t, document(got), `"seen":true`)
				assert.Equal(t, []string{sess.ID}, list(t, s, at, "ada"))
				assert.Equal(t, []string{sess.ID}, list(t, s, at, ""))
				assert.Equal(t, 1, counted(t, s, at, backend.Filter{UserID: "ada"}))
				assert.Equal(t, []string{"a"}, files(t, s, at))
			}
			n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			_, err = s.Get(t.Context(), now, sess.Key())
			require.ErrorIs(t, err, backend.ErrNotFound)
		})
	}
}

// damages are values that are no session.
func damages(id string) map[string][]string {
	key := "session:" + id
	return map[string][]string{
		"text":             {"SET", key, "garbage", "PX", "100000"},
		"nothing":          {"SET", key, "", "PX", "100000"},
		"text that stays":  {"SET", key, "garbage"},
		"cut JSON":         {"SET", key, `{"id":"` + id + `","createdAt":"2026-11-21T17:04:05.123Z","us`, "PX", "100000"},
		"another's id":     {"SET", key, foreignDoc(strings.Repeat("0", 64)), "PX", "100000"},
		"too large":        {"SET", key, strings.Replace(foreignDoc(id), "1.50", `"`+strings.Repeat("x", 5000)+`"`, 1), "PX", "100000"},
		"a hash":           {"HSET", key, "id", id},
		"a list":           {"RPUSH", key, id},
		"a broken trailer": {"SET", key, `{"id":"` + id + `","stored":{"index":"x"}}`, "PX", "100000"},
		"cut zstd":         {"SET", key, "\x00zst{\"id\":\"", "PX", "100000"},
	}
}

// A value that is no session is its own key's fault: all that is not about it
// works, and what it may refer to stays.
func TestDamagedSessionsHarmNobodyElse(t *testing.T) {
	server := redistest.Start(t)
	for name := range damages("") {
		t.Run(name, func(t *testing.T) {
			server.CLI("FLUSHALL")
			var log syncBuffer
			s := open(t, server, func(o *redis.Options) {
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				o.MaxDocument = 4096
			})
			now := schema.Now(time.Now())
			well := create(t, s, now, spec{user: "ada", files: []string{"b"}})
			hurt := create(t, s, now, spec{user: "ada", files: []string{"a"}})
			server.CLI("DEL", "session:"+hurt.ID)
			put := damages(hurt.ID)[name]
			require.NotContains(t, server.CLI(put...), "ERR")
			before := server.CLI("DUMP", "session:"+hurt.ID)

			for _, at := range []time.Time{now, now.Add(time.Minute), now.Add(90 * time.Second)} {
				_, err := s.Get(t.Context(), at, hurt.Key())
				require.ErrorIs(t, err, backend.ErrDamaged)
				require.NotErrorIs(t, err, backend.ErrUnavailable)
				require.NotErrorIs(t, err, backend.ErrNotFound)
				assert.Equal(t, []string{well.ID}, list(t, s, at, "ada"))
				assert.Equal(t, []string{well.ID}, list(t, s, at, ""))
				assert.Equal(t, 1, counted(t, s, at, backend.Filter{UserID: "ada"}))
				assert.ElementsMatch(t, []string{"a", "b"}, files(t, s, at), "it may refer to it")
				has, err := s.HasFile(t.Context(), at, "x", "a")
				require.NoError(t, err)
				assert.True(t, has)
				_, err = s.Sweep(t.Context(), at)
				require.NoError(t, err)
				_, err = s.Stats(t.Context(), at)
				require.NoError(t, err)
			}
			if strings.HasPrefix(put[0], "SET") && len(put) == 3 || put[0] != "SET" {
				// Its entries outlast all that is waited for elsewhere.
				at := now.Add(2 * hour)
				_, err := s.Sweep(t.Context(), at)
				require.NoError(t, err)
				assert.Equal(t, []string{"a"}, files(t, s, at))
			}
			st, err := s.Stats(t.Context(), now)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, st.Damaged, int64(3))
			assert.Equal(t, 1, strings.Count(log.String(), "a session is damaged"), "%s", log.String())
			assert.NotContains(t, log.String(), hurt.ID)

			n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "ada"})
			require.NoError(t, err)
			assert.LessOrEqual(t, n, 1)
			assert.Equal(t, before, server.CLI("DUMP", "session:"+hurt.ID), "nobody has removed it")
			require.NoError(t, s.Delete(t.Context(), now, hurt.Key(), 0))
			_, err = s.Get(t.Context(), now, hurt.Key())
			require.ErrorIs(t, err, backend.ErrNotFound)
		})
	}
}
