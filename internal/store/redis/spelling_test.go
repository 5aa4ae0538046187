package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// A file that a session names all the time, now by this path and now by that, is
// never without a reference to whoever asks for it by both.
func TestAFileByAlternatingPaths(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) backend.Store{
		"server": func(t *testing.T) backend.Store { t.Helper(); return open(t, redistest.Start(t)) },
		"cluster": func(t *testing.T) backend.Store {
			t.Helper()
			s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: redistest.StartCluster(t).Addrs(), Cluster: true}})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, now := open(t), schema.Now(ahead().Now())
			paths := []string{"report.pdf", "/tmp/analysis/report.pdf", "other.pdf"}
			sess := create(t, s, now, spec{files: paths[:1]})
			var done atomic.Bool
			var running sync.WaitGroup
			running.Go(func() {
				for n := 1; !done.Load(); n++ {
					next := revised(t, now, sess, spec{files: paths[n%2 : n%2+1]})
					if _, err := s.Swap(t.Context(), now, sess, next); !assert.NoError(t, err) {
						return
					}
					sess = next
					if n%10 == 0 {
						next := sess.WithID(schema.NewID())
						if !assert.NoError(t, s.Regenerate(t.Context(), now, sess, next, now)) {
							return
						}
						sess = next
					}
				}
			})
			looks := soaktest.Times(300, 1500)
			end := time.Now().Add(20 * time.Second)
			missed, n := 0, 0
			for ; n < looks && time.Now().Before(end); n++ {
				has, err := s.HasFile(t.Context(), now, paths...)
				require.NoError(t, err)
				if !has {
					missed++
				}
			}
			done.Store(true)
			running.Wait()
			assert.Zero(t, missed, "of %d looks", n)
			has, err := s.HasFile(t.Context(), now, "a", "other.pdf")
			require.NoError(t, err)
			assert.False(t, has)
			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
			has, err = s.HasFile(t.Context(), now, paths...)
			require.NoError(t, err)
			assert.False(t, has, "nothing names it any more")
		})
	}
}
