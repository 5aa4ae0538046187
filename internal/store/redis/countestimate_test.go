package redis

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// A large index is counted by its size and a sample.
func TestCount_estimate(t *testing.T) {
	server := redistest.Start(t)
	s, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 10 * time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	s.exactCount = 100
	ctx, now := t.Context(), schema.Now(time.Now())
	const many, writers = 2500, 25
	var names [many]string
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := w; n < many; n += writers {
				sess := newSession(t, schema.NewID(), func(sess *schema.Session, sec *schema.Sections) {
					sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt = now, now, now.Add(sess.TTL)
					sec.User = &schema.User{ID: "ada", Roles: []string{}}
				})
				assert.NoError(t, s.Create(ctx, now, sess))
				names[n] = s.keys.Session(sess.Key())
			}
		})
	}
	running.Wait()
	count := func(user string) int {
		n, err := s.Count(ctx, now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: user})
		require.NoError(t, err)
		return n
	}
	assert.Equal(t, many, count(""), "nothing leads nowhere")
	assert.Equal(t, many, count("ada"))

	client, err := s.client()
	require.NoError(t, err)
	require.NoError(t, client.Do(ctx, client.B().Del().Key(names[:many/2]...).Build()).Error())
	// Entries that were replaced, beside the present ones.
	index := s.keys.User(schema.DefaultNamespace, "ada")
	present, err := client.Do(ctx, client.B().Zrange().Key(index).Min("0").Max("99").Build()).AsStrSlice()
	require.NoError(t, err)
	for _, member := range present {
		require.NoError(t, client.Do(ctx, client.B().Arbitrary("ZADD").Keys(index).Args("0", member[:len(member)-1]+"\x00").Build()).Error())
	}
	const standardErrors = 6
	assert.InDelta(t, many/2, count("ada"), standardErrors*many*0.5/45, "half of it leads nowhere")
	assert.InDelta(t, many/2, count(""), standardErrors*many*0.5/45)
}
