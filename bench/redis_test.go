package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRedisIsReady(t *testing.T) {
	for name, c := range map[string]struct {
		log  string
		want bool
	}{
		"nothing yet": {"", false},
		"starting":    {"1:C 21 Nov 2026 20:15:03.101 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n", false},
		"port taken":  {"1:M 21 Nov 2026 20:15:03.101 # Warning: Could not create server TCP listening socket 127.0.0.1:7999: bind: Address already in use\n", false},
		"ready":       {"1:M 21 Nov 2026 20:15:03.102 # Server initialized\n1:M 21 Nov 2026 20:15:03.102 * Ready to accept connections\n", true},
		"newer":       {"1:M 21 Nov 2026 20:15:03.102 * Ready to accept connections tcp\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, redisIsReady(strings.NewReader(c.log)))
		})
	}
}

func TestParseInfo(t *testing.T) {
	text, err := os.ReadFile("testdata/info.txt")
	require.NoError(t, err)
	info := parseInfo(string(text))

	memory, err := info.number("used_memory")
	require.NoError(t, err)
	assert.InDelta(t, 1_071_848, memory, 0)
	assert.Equal(t, "/usr/bin/redis-server: or not", info["executable"], "a value may hold colons")
	calls, err := info.calls()
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"mget": 2000, "client|setname": 4, "ping": 3}, calls)
}

func TestInfoOfSomethingElse(t *testing.T) {
	_, err := parseInfo("Could not connect to Redis at 127.0.0.1:7999: Connection refused\n").number("used_memory")
	assert.ErrorContains(t, err, "used_memory")
	for _, value := range []string{"", "2000", "calls=2000", "calls=many,usec=1", "usec=1,calls=2"} {
		_, err := redisInfo{"cmdstat_get": value}.calls()
		assert.ErrorContains(t, err, "get", value)
	}
}

// The second look reads once itself, and is no command of the service.
func TestAsksBetween(t *testing.T) {
	const reads = "total_reads_processed"
	before := redisInfo{reads: "100", "cmdstat_mget": "calls=40,usec=1", "cmdstat_info": "calls=1,usec=1"}
	after := redisInfo{
		reads: "301", "cmdstat_mget": "calls=140,usec=2", "cmdstat_info": "calls=2,usec=2",
		"cmdstat_zadd": "calls=300,usec=1",
	}
	got, err := redisCostBetween(before, after, 100)
	require.NoError(t, err)
	assert.Equal(t, redisCost{trips: 2, commands: map[string]float64{"mget": 1, "zadd": 3}}, got)
	assert.Equal(t, "2.00 round trips (commands, those of scripts with them: mget 1.00, zadd 3.00)", got.String())

	for name, infos := range map[string][2]redisInfo{
		"no reads":    {before, {}},
		"not a count": {{reads: "1", "cmdstat_get": "many"}, after},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisCostBetween(infos[0], infos[1], 100)
			assert.Error(t, err)
		})
	}
}

func TestAsksLeaveOutWhatIsRare(t *testing.T) {
	a := redisCost{trips: 0.004, commands: map[string]float64{"ping": 0.002}}
	assert.Equal(t, "0.00 round trips", a.String())
}
