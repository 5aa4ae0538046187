package redis_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// lease is one that does not run out because a machine is busy.
const lease = 10 * time.Second

// take returns how to give the lease back, nil if another has it.
func take(t testing.TB, s *redis.Store) func() {
	t.Helper()
	return takeFor(t, s, lease)
}

func takeFor(t testing.TB, s *redis.Store, lease time.Duration) func() {
	t.Helper()
	unlock, held, err := s.Lock(t.Context(), "cleanup", lease)
	require.NoError(t, err)
	require.Equal(t, held, unlock != nil)
	return unlock
}

func TestOneInstanceHasTheLease(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server)
	unlock := take(t, one)
	require.NotNil(t, unlock)
	assert.Nil(t, take(t, other))
	assert.Nil(t, take(t, one), "nor twice by one")
	_, held, err := other.Lock(t.Context(), "other", lease)
	require.NoError(t, err)
	assert.True(t, held, "another name is another lease")

	unlock()
	unlock()
	require.Eventually(t, func() bool {
		if unlock = take(t, other); unlock == nil {
			return false
		}
		unlock()
		return true
	}, patience, time.Millisecond)
}

func TestTheLeaseIsOnesAtATime(t *testing.T) {
	server := redistest.Start(t)
	instances := []*redis.Store{open(t, server), open(t, server)}
	var holders, turns atomic.Int64
	together(8, func(i int) {
		for turns.Load() < 50 {
			unlock, held, err := instances[i%2].Lock(t.Context(), "cleanup", lease)
			if !assert.NoError(t, err) {
				return
			}
			if held {
				assert.EqualValues(t, 1, holders.Add(1))
				turns.Add(1)
				holders.Add(-1)
				unlock()
			}
		}
	})
}

// A machine may be too busy to renew a short lease, but not a long one.
func TestALeaseIsRenewedWhileItIsHeld(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server)
	for lease := 300 * time.Millisecond; lease < time.Minute; lease *= 4 {
		unlock := takeFor(t, one, lease)
		require.NotNil(t, unlock)
		var lost func()
		for until := time.Now().Add(4 * lease); lost == nil && time.Now().Before(until); {
			lost = take(t, other)
		}
		unlock()
		if lost == nil {
			return
		}
		lost()
		require.Eventually(t, func() bool { return server.CLI("EXISTS", "session:#lock:cleanup") == "0" }, patience, time.Millisecond)
	}
	assert.Fail(t, "another has got the lease")
}

func TestALeaseRunsOutWithItsHolder(t *testing.T) {
	t.Run("that is closed", func(t *testing.T) {
		server := redistest.Start(t)
		one, err := redis.Open(t.Context(), optionsAt(server.Addr()))
		require.NoError(t, err)
		require.NotNil(t, take(t, one))
		require.NoError(t, one.Close())
		assert.Equal(t, "0", server.CLI("EXISTS", "session:#lock:cleanup"), "released at once")
	})
	t.Run("that is cut off", func(t *testing.T) {
		server := redistest.Start(t)
		proxy := redistest.StartProxy(t, server.Addr())
		one, other := openAt(t, proxy.Addr(), brief), open(t, server)
		awaitConnected(t, one)
		lost := takeFor(t, one, 300*time.Millisecond)
		require.NotNil(t, lost)
		proxy.Refuse()
		proxy.Cut()
		var unlock func()
		require.Eventually(t, func() bool { unlock = take(t, other); return unlock != nil }, patience, 10*time.Millisecond)
		proxy.Accept()
		lost() // does not end another's
		require.Eventually(t, func() bool { return one.Ping(t.Context()) == nil }, patience, 10*time.Millisecond)
		assert.Nil(t, take(t, one))
		unlock()
	})
}
