package redis_test

import (
	"errors"
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

func TestFailoverOfASentinelPrimary(t *testing.T) {
	group := redistest.StartSentinel(t)
	s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: group.Addrs(), Primary: group.MasterName(), Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	failOver(t, s, []*redistest.Server{group.Primary()}, func() { group.Failover() })
}

func TestFailoverOfAClusterPrimary(t *testing.T) {
	cluster := redistest.StartCluster(t)
	s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: cluster.Addrs(), Cluster: true, Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	var primaries []*redistest.Server
	for _, node := range cluster.Nodes() {
		if len(cluster.Replicas(node)) > 0 {
			primaries = append(primaries, node)
		}
	}
	failOver(t, s, primaries, func() { cluster.Failover("any") })
}

// failOver changes sessions all the while one of the primaries dies, and checks
// that what had reached a replica before is there afterwards.
func failOver(t *testing.T, s *redis.Store, primaries []*redistest.Server, fail func()) {
	t.Helper()
	now := schema.Now(ahead().Now())
	const writers = 24
	var acknowledged [writers]atomic.Int64 // revisions
	var keys [writers]backend.Key
	done := make(chan struct{})
	var running sync.WaitGroup
	for i := range writers {
		sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})
		keys[i] = sess.Key()
		acknowledged[i].Store(1)
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				cur, err := s.Peek(t.Context(), now, keys[i])
				if err == nil {
					_, err = s.Swap(t.Context(), now, cur, revised(t, now, cur, spec{user: "ada", files: []string{"a"}}))
				}
				if err == nil {
					acknowledged[i].Store(cur.Revision + 1)
				} else if !errors.Is(err, backend.ErrUnavailable) {
					assert.NoError(t, err)
					return
				}
			}
		})
	}
	progress := func() bool {
		before := [writers]int64{}
		for i := range writers {
			before[i] = acknowledged[i].Load()
		}
		return assert.Eventually(t, func() bool {
			for i := range writers {
				if acknowledged[i].Load() == before[i] {
					return false
				}
			}
			return true
		}, patience, time.Millisecond)
	}
	require.True(t, progress())
	var replicated [writers]int64
	for i := range writers {
		replicated[i] = acknowledged[i].Load()
	}
	// WAIT counts its own connection's writes.
	for _, primary := range primaries {
		primary.CLI("SET", "after", "all that was acknowledged")
		require.NotEqual(t, "0", primary.CLI("WAIT", "1", "10000"))
	}
	fail()
	healthy := time.Now()
	require.True(t, progress())
	t.Logf("all writers went on %v after the servers were healthy", time.Since(healthy))
	soaktest.Within(t, time.Since(healthy), 2*time.Second)
	close(done)
	running.Wait()
	for i := range keys {
		got, err := s.Get(t.Context(), now, keys[i])
		require.NoError(t, err)
		assert.GreaterOrEqual(t, got.Revision, replicated[i])
	}
	assert.Len(t, list(t, s, now, "ada"), writers)
	assert.Equal(t, []string{"a"}, files(t, s, now))
}
