package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// A server that takes no writes for a while answers what only reads.
func TestReadsDoNotWaitForWrites(t *testing.T) {
	for name, change := range map[string]func(*redis.Options){"plain": func(*redis.Options) {}, "with a client cache": withCache} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s := open(t, server, change)
			ctx, now := t.Context(), schema.Now(ahead().Now())
			sess := create(t, s, now, spec{user: "ada"})
			require.Equal(t, "OK", server.CLI("CLIENT", "PAUSE", "100000", "WRITE"))
			touched := make(chan error, 1)
			go func() {
				_, err := s.Touch(ctx, now, sess.Key(), now.Add(2*hour))
				touched <- err
			}()
			require.Eventually(t, func() bool { return contains(server.CLI("INFO", "clients"), "blocked_clients:1") }, patience, time.Millisecond)
			for range 20 {
				_, err := s.Get(ctx, now, sess.Key())
				require.NoError(t, err)
			}
			_, err := s.Get(ctx, now, backend.Key{Namespace: sess.Namespace, ID: schema.NewID()})
			require.ErrorIs(t, err, backend.ErrNotFound)
			assert.Equal(t, []string{sess.ID}, list(t, s, now, "ada"))
			assert.Equal(t, 1, counted(t, s, now, backend.Filter{UserID: "ada"}))
			select {
			case err := <-touched:
				t.Fatal("the write did not wait", err)
			default:
			}
			require.Equal(t, "OK", server.CLI("CLIENT", "UNPAUSE"))
			require.NoError(t, <-touched)
		})
	}
}
