package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpreadOf(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   spread
	}{
		"one":   {[]float64{3}, spread{3, 3, 3}},
		"odd":   {[]float64{9, 1, 2}, spread{2, 1, 9}},
		"even":  {[]float64{4, 1, 9, 2}, spread{3, 1, 9}},
		"equal": {[]float64{5, 5, 5}, spread{5, 5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			given := append([]float64{}, c.values...)
			assert.Equal(t, c.want, spreadOf(given))
			assert.Equal(t, c.values, given, "the rounds keep their order")
		})
	}
}

// A ratio is that of one round: both sides had the same machine then.
func TestRatioIsByRound(t *testing.T) {
	service := []turn{{rate: 50}, {rate: 30}, {rate: 80}}
	against := []turn{{rate: 100}, {rate: 30}, {rate: 100}}
	got := ratio(service, against, rate)
	assert.Equal(t, "0.80 [0.50..1.00]", got.String())
}

func TestTable(t *testing.T) {
	got := table([][]string{{"row", "µs"}, {"GET", "7"}, {"PATCH", "12.5"}})
	assert.Equal(t, "| row   |   µs |\n|-------|-----:|\n| GET   |    7 |\n| PATCH | 12.5 |\n", got)
}

func TestWrite(t *testing.T) {
	rep := report{
		options: options{rounds: 5, duration: 3 * time.Second, connections: 32, million: true},
		machine: "2 cores",
		start:   startup{binary: 11_300_000, answer: 9_600_000, memory: 13_000_000},
		results: []result{{
			row:     row{name: "GET", doc: "reads", sessions: million},
			service: []turn{{rate: 20_000, cpu: 30, p50: 0.5, p99: 2}},
			rivals:  []rival{{"net/http", []turn{{rate: 40_000, cpu: 20, p50: 0.25, p99: 1}}}},
			memory:  1_513_000_000,
		}, {
			row:     row{name: "GET, Redis", doc: "reads there", onRedis: true},
			service: []turn{{rate: 10_000, cpu: 60, p50: 1, p99: 4, behind: 12.5}},
			rivals: []rival{
				{"memory", []turn{{rate: 20_000, cpu: 30, p50: 0.5, p99: 2}}},
				{"redis-benchmark GET", []turn{{rate: 40_000, cpu: 8, p50: 0.25, p99: 1}}},
			},
			asks: asks{trips: 1, commands: map[string]float64{"mget": 1, "ping": 0.001}},
		}},
		space: space{sessions: counted, document: 1000, each: 1612},
	}
	path := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, rep.write(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, want := range []string{
		"| GET        | 20000 |     40000 | 0.50 [0.50..0.50] |     30.0 µs |   20.0 µs | 1.50 [1.50..1.50] |   0.50 |      0.25 |   2.00 |      1.00 |\n",
		"- **GET**: reads. Yardstick: net/http.\n",
		"- **GET, Redis**: reads there. Yardstick: memory.\n",
		"- GET, Redis, each request: 1.00 round trips (commands, those of scripts with them: mget 1.00); 12.5 µs of redis-server's processor time under load\n",
		"- GET, Redis, beside redis-benchmark GET: 40000 requests/s, 8.0 µs of redis-server each; ratio of requests/s 0.25 [0.25..0.25]\n",
		"- a session in Redis: 612 bytes beyond its document of 1000 bytes (indexes included, mean of 10000)\n",
		"- binary: 11.3 MB\n- start to first answer: 10 ms\n- resident memory, idle: 13.0 MB\n",
		"- resident memory, 1000000 sessions of 1 KB: 1513.0 MB, 1500 bytes a session\n",
		"Measured on 2 cores.",
		"    go run ./bench -rounds 5 -duration 3s -connections 32 -million\n",
		"medians of 5 rounds",
	} {
		assert.Contains(t, string(page), want)
	}
}
