package redis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// numbered returns the names of n files, from the first on.
func numbered(from, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("uploads/report-%06d.pdf", from+i)
	}
	return names
}

// fileMembers are the members of the index by file.
func fileMembers(t testing.TB, client rueidis.Client) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, key := range indexes(t, client) {
		if strings.Contains(key, "#file:") {
			for _, member := range members(t, client, key) {
				found[member] = true
			}
		}
	}
	return found
}

// A change of one of a thousand references writes those of one shard anew.
func TestAChangeOfOneFileLeavesTheOthers(t *testing.T) {
	server := redistest.Start(t)
	s, client, now := open(t, server), raw(t, server), time.Now()
	sess := create(t, s, now, spec{files: numbered(0, 1000)})
	for i := range 5 {
		before := fileMembers(t, client)
		require.Len(t, before, 1000)
		next := revised(t, now, sess, spec{files: append(numbered(i+1, 999-i), numbered(5000, i+1)...)})
		var err error
		sess, err = s.Swap(t.Context(), now, sess, next)
		require.NoError(t, err)
		after, fresh := fileMembers(t, client), 0
		for member := range after {
			if !before[member] {
				fresh++
			}
		}
		assert.Len(t, after, 1000)
		assert.Less(t, fresh, 100, "written anew")
	}
}

// Whatever is done with sessions of many files, in any order, the index by file
// has each reference once, and nothing of what is gone.
func TestFileStampsThroughChanges(t *testing.T) {
	for name, change := range map[string][]func(*redis.Options){
		"plain": nil, "compressed": {withCompression}, "cached": {withCache},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s, client, now := open(t, server, change...), raw(t, server), time.Now()
			random := rand.New(rand.NewPCG(1, 2))
			names := numbered(0, 200)
			some := func() spec {
				random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				return spec{user: []string{"", "ada", "bob"}[random.IntN(3)], files: names[:60+random.IntN(140)], note: fmt.Sprint(random.Uint64())}
			}
			now = schema.Now(now)
			last := some()
			sess := create(t, s, now, last)
			for range 60 {
				switch random.IntN(6) {
				case 0:
					last = some()
				case 1: // one goes
					last.files = append(last.files[:0:0], last.files[1:]...)
				case 2: // one comes
					last.files = append(slices.Clip(last.files), fmt.Sprint("new/", random.Uint64()))
				case 3:
					last.note = "no other files"
				case 4:
					last.user = "eve"
				case 5:
					next := sess.WithID(schema.NewID())
					require.NoError(t, s.Regenerate(t.Context(), now, sess, next, now))
					var err error
					sess, err = s.Get(t.Context(), now, next.Key())
					require.NoError(t, err)
				}
				_, err := s.Touch(t.Context(), now, sess.Key(), now.Add(hour))
				require.NoError(t, err)
				next := revised(t, now, sess, last)
				if next.UserID != sess.UserID {
					next.Life = schema.NewLife()
				}
				got, err := s.Swap(t.Context(), now, sess, next)
				require.NoError(t, err)
				assert.Equal(t, next.Life, got.Life)
				sess, err = s.Get(t.Context(), now, sess.Key())
				require.NoError(t, err)
				require.Equal(t, next.Life, sess.Life, "another user's session has another life, and only that")
				require.ElementsMatch(t, last.files, sess.Files)
				require.Len(t, fileMembers(t, client), len(last.files))
			}
			// Long after it was written, none of it passes for left over.
			aged := now.Add(later)
			assert.ElementsMatch(t, last.files, files(t, s, aged))
			assert.Len(t, fileMembers(t, client), len(last.files))
			other := last.files[0]
			has, err := s.HasFile(t.Context(), aged, other)
			require.NoError(t, err)
			assert.True(t, has)

			// Somebody who knows an older state changes nothing.
			stale := sess
			stale.Revision--
			_, err = s.Swap(t.Context(), now, stale, revised(t, now, stale, some()))
			require.Error(t, err)
			require.Len(t, fileMembers(t, client), len(sess.Files))

			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
			assert.Zero(t, all(t, client))
		})
	}
}
