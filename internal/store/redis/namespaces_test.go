package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/redistest"
)

func namespaces(t testing.TB, s backend.Store) []string {
	t.Helper()
	names, err := s.Namespaces(t.Context(), time.Now())
	require.NoError(t, err)
	return names
}

// The default namespace, which most have alone, costs no entry.
func TestTheDefaultNamespaceIsInNoIndex(t *testing.T) {
	server := redistest.Start(t)
	s, other := open(t, server), open(t, server, withPrefix("other:"))
	create(t, s, time.Now(), spec{})
	assert.Equal(t, []string{schema.DefaultNamespace}, namespaces(t, s))
	assert.Empty(t, server.CLI("KEYS", "*#names*"))

	create(t, s, time.Now(), spec{namespace: "shop"})
	assert.Equal(t, []string{schema.DefaultNamespace, "shop"}, namespaces(t, s))
	assert.Equal(t, []string{schema.DefaultNamespace}, namespaces(t, other))
}

// Names that were lost come back with the next session, on whichever instance,
// and otherwise with the sweep that comes to a session that lives on.
func TestLostNamesAreRestored(t *testing.T) {
	server := redistest.Start(t)
	s, now := open(t, server), time.Now()
	create(t, s, now, spec{namespace: "shop"})
	require.Equal(t, "OK", server.CLI("FLUSHALL"))
	require.NotContains(t, namespaces(t, s), "shop")
	sess := create(t, s, now, spec{namespace: "shop"})
	require.Contains(t, namespaces(t, s), "shop")

	require.Equal(t, "1", server.CLI("DEL", server.CLI("KEYS", "session:#names:*")))
	require.NotContains(t, namespaces(t, s), "shop")
	halfway := now.Add(hour / 2)
	_, err := s.Touch(t.Context(), halfway, sess.Key(), halfway.Add(hour))
	require.NoError(t, err)
	_, err = s.Sweep(t.Context(), now.Add(hour))
	require.NoError(t, err)
	assert.Contains(t, namespaces(t, s), "shop")
}
