package redis_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
	"session-api/internal/store/storetest"
)

func TestIdentity(t *testing.T) {
	server := redistest.Start(t)
	storetest.RunIdentity(t, false, func(t testing.TB, name string) backend.Store {
		t.Helper()
		s, err := redis.Open(t.Context(), optionsAt(server.Addr(), withPrefix(name+":")))
		require.NoError(t, err)
		return s
	})
}

// Instances that share a prefix share an identity. A server that lost it gets it
// back, and one that is away has none to tell.
func TestIdentity_ofInstances(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server)
	id, err := one.Identity(t.Context())
	require.NoError(t, err)
	for range 2 {
		again, err := other.Identity(t.Context())
		require.NoError(t, err)
		assert.Equal(t, id, again)
		require.Equal(t, "OK", server.CLI("FLUSHALL"))
	}
	server.Stop()
	_, err = one.Identity(t.Context())
	require.ErrorIs(t, err, backend.ErrUnavailable)
}
