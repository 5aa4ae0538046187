package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/redis/redistest"
)

// takeover is how long a failover may take.
const takeover = 15 * time.Second

func TestCluster(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, binary redistest.Option) {
		t.Parallel()
		cluster := redistest.StartCluster(t, binary)
		require.Len(t, cluster.Nodes(), 6)
		client := connect(t, cluster.ClientOption())

		// Keys of all three primaries, through a client that follows redirects.
		holders := map[string]*redistest.Server{}
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			_, err := ask(t, client, "SET", key, "value of "+key)
			require.NoError(t, err)
			primary := cluster.Primary(key)
			holders[primary.Addr()] = primary
			assert.Equal(t, "value of "+key, primary.CLI("GET", key))
			require.Len(t, cluster.Replicas(primary), 1)
		}
		assert.Len(t, holders, 3)

		home := cluster.Primary("a")
		for addr, node := range holders {
			if addr != home.Addr() {
				answer := node.CLI("GET", "a")
				assert.True(t, strings.HasPrefix(answer, "MOVED ") && strings.HasSuffix(answer, home.Addr()), answer)
			}
		}

		heir := cluster.Replicas(home)[0]
		require.Equal(t, "1", home.CLI("WAIT", "1", "5000"), "the replica has what was written")
		began := time.Now()
		dead := cluster.Failover("a")
		soaktest.Within(t, time.Since(began), takeover)
		t.Logf("taken over after %v", time.Since(began))
		assert.Equal(t, home.Addr(), dead.Addr())
		assert.Equal(t, heir.Addr(), cluster.Primary("a").Addr())
		assert.Equal(t, "value of a", heir.CLI("GET", "a"))
		require.Eventually(t, func() bool {
			value, err := ask(t, client, "GET", "a")
			return err == nil && value == "value of a"
		}, patience, 10*time.Millisecond, "the client finds the new primary")

		dead.Restart()
		cluster.AwaitHealthy()
		replicas := cluster.Replicas(heir)
		require.Len(t, replicas, 1)
		assert.Equal(t, dead.Addr(), replicas[0].Addr())
	})
}

// What reaches all nodes of a cluster has to be right for their links, too.
func TestClusterBehindTLSAndPassword(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.TLS(), redistest.Password("service", "secret"))
	client := connect(t, cluster.ClientOption())
	_, err := ask(t, client, "SET", "key", "value")
	require.NoError(t, err)
	assert.Equal(t, "value", cluster.Primary("key").CLI("GET", "key"))
	require.Len(t, cluster.Replicas(cluster.Primary("key")), 1)
}
