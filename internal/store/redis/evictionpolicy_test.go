package redis_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

func withLog(log *syncBuffer) func(*redis.Options) {
	return func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) }
}

func allowKeyEviction(o *redis.Options) { o.AllowKeyEviction = true }

// A server that evicts sessions only is used, with a warning.
func TestVolatilePoliciesAreWarnedOf(t *testing.T) {
	for _, policy := range []string{"volatile-lru", "volatile-ttl"} {
		var log syncBuffer
		s := open(t, redistest.Start(t, redistest.MaxMemory("50mb", policy)), withLog(&log))
		assert.Contains(t, log.String(), "maxmemory_policy="+policy)
		assert.Contains(t, log.String(), "level=WARN")
		require.NoError(t, s.Ping(t.Context()))
	}
}

// A server that evicts any key would evict indexes. It is refused, unless the settings
// accept it.
func TestAllKeysPoliciesAreRefused(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random"} {
		server := redistest.Start(t, redistest.MaxMemory("50mb", policy))
		_, err := redis.Open(t.Context(), optionsAt(server.Addr()))
		require.ErrorContains(t, err, policy)
		require.ErrorContains(t, err, "REDIS_ALLOW_KEY_EVICTION")

		var log syncBuffer
		s := open(t, server, allowKeyEviction, withLog(&log))
		assert.Contains(t, log.String(), "maxmemory_policy="+policy)
		assert.Contains(t, log.String(), "sign-outs everywhere then miss sessions")
		require.NoError(t, s.Ping(t.Context()))
		create(t, s, schema.Now(ahead().Now()), spec{user: "ada"})
	}
}

// Every primary of a Cluster counts.
func TestAnAllKeysPolicyInACluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	o := optionsAt("", func(o *redis.Options) { o.Addresses, o.Cluster = cluster.Addrs(), true })
	require.Equal(t, "OK", cluster.Nodes()[1].CLI("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
	_, err := redis.Open(t.Context(), o)
	require.ErrorContains(t, err, "allkeys-lru")
	require.Equal(t, "OK", cluster.Nodes()[1].CLI("CONFIG", "SET", "maxmemory-policy", "noeviction"))
	s, err := redis.Open(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// A policy that is set later makes the store unready, with or without a reserve, until
// it is set back.
func TestAnAllKeysPolicyThatAppears(t *testing.T) {
	for _, reserve := range []int{0, 10} {
		server := redistest.Start(t, redistest.MaxMemory("50mb", "noeviction"))
		var log syncBuffer
		s := open(t, server, withLog(&log), func(o *redis.Options) { o.Reserve = reserve })
		accepting := open(t, server, allowKeyEviction)
		require.NoError(t, s.Ping(t.Context()))

		require.Equal(t, "OK", server.CLI("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
		var unready *backend.UnreadyError
		require.Eventually(t, func() bool { return s.Ping(t.Context()) != nil }, patience, 5*time.Millisecond)
		require.ErrorAs(t, s.Ping(t.Context()), &unready)
		assert.Contains(t, unready.Reason, "allkeys-lru")
		assert.Contains(t, log.String(), "level=ERROR")
		require.NoError(t, accepting.Ping(t.Context()))

		require.Equal(t, "OK", server.CLI("CONFIG", "SET", "maxmemory-policy", "volatile-ttl"))
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
		assert.Contains(t, log.String(), "evicts no indexes any more")
	}
}
