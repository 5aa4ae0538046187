package redistest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/redis/redistest"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, binary redistest.Option) {
		t.Parallel()
		testFailover(t, redistest.StartSentinel(t, binary))
	})
}

func TestSentinelBehindTLSAndPasswords(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t,
		redistest.TLS(),
		redistest.Password("service", "secret"),
		redistest.SentinelPassword("watcher", "another"))
	assert.Equal(t, "watcher", sentinel.Sentinels()[0].CLI("ACL", "WHOAMI"))
	assert.Equal(t, "service", sentinel.Primary().CLI("ACL", "WHOAMI"))
	testFailover(t, sentinel)
}

func testFailover(t *testing.T, sentinel *redistest.Sentinel) {
	t.Helper()
	require.Len(t, sentinel.Sentinels(), 3)
	require.Len(t, sentinel.Servers(), 3)
	require.Len(t, sentinel.Replicas(), 2)
	client := connect(t, sentinel.ClientOption())
	_, err := ask(t, client, "SET", "key", "value")
	require.NoError(t, err)
	primary := sentinel.Primary()
	assert.Equal(t, "value", primary.CLI("GET", "key"))
	require.Equal(t, "2", primary.CLI("WAIT", "2", "5000"), "the replicas have what was written")

	began := time.Now()
	dead := sentinel.Failover()
	soaktest.Within(t, time.Since(began), takeover)
	t.Logf("taken over after %v", time.Since(began))
	assert.Equal(t, primary.Addr(), dead.Addr())
	heir := sentinel.Primary()
	assert.NotEqual(t, dead.Addr(), heir.Addr())
	assert.Equal(t, "value", heir.CLI("GET", "key"))
	require.Len(t, sentinel.Replicas(), 1)
	require.Eventually(t, func() bool {
		value, err := ask(t, client, "GET", "key")
		return err == nil && value == "value"
	}, patience, 10*time.Millisecond, "the client finds the new primary")

	dead.Restart()
	sentinel.AwaitHealthy()
	assert.Equal(t, heir.Addr(), sentinel.Primary().Addr())
	assert.Len(t, sentinel.Replicas(), 2)
}
