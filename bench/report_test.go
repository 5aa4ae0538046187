package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	service := []sample{{rate: 50}, {rate: 30}, {rate: 80}}
	against := []sample{{rate: 100}, {rate: 30}, {rate: 100}}
	got := ratio(service, against, rate)
	assert.Equal(t, "0.80 [0.50..1.00]", got.String())
}

func TestTable(t *testing.T) {
	got := table(1, [][]string{{"row", "µs"}, {"GET", "7"}, {"PATCH", "12.5"}})
	assert.Equal(t, "| row   |   µs |\n|-------|-----:|\n| GET   |    7 |\n| PATCH | 12.5 |\n", got)
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		claim metric
		value float64
		want  [2]string
	}{
		"nothing asked": {requests, 7, [2]string{"", ""}},
		"enough":        {requests.atLeast(0.85), 0.85, [2]string{"≥ 0.85", "yes"}},
		"too little":    {requests.atLeast(0.85), 0.84, [2]string{"≥ 0.85", "**no**"}},
		"little enough": {p99Latency.atMost(1.3), 1.3, [2]string{"≤ 1.3", "yes"}},
		"too much":      {p99Latency.atMost(1.3), 1.31, [2]string{"≤ 1.3", "**no**"}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, [2]string{c.claim.target.String(), c.claim.target.reached(c.value)})
		})
	}
}

// The target of a figure that has a yardstick is for the ratio.
func TestClaimFigure(t *testing.T) {
	res := result{
		row:        row{name: "cleanup"},
		service:    []sample{{elapsed: 3 * time.Second}, {elapsed: 5 * time.Second}, {elapsed: 4 * time.Second}},
		yardsticks: []yardstickResult{{"find", []sample{{elapsed: time.Second}, {elapsed: 2 * time.Second}, {elapsed: 2 * time.Second}}}},
	}
	assert.Equal(t, figure{"cleanup", "time", "4.00 s", "2.00 s", "2.50 [2.00..3.00]", "≤ 3", "yes"}, seconds.atMostRatio(3).figure(&res))
	assert.Equal(t, figure{"cleanup", "time", "4.00 s [3.00 s..5.00 s]", "", "", "≤ 3", "**no**"}, seconds.atMost(3).figure(&res))
}

func TestWrite(t *testing.T) {
	rep := report{
		options: options{rounds: 5, duration: 3 * time.Second, connections: 32, million: false},
		machine: "2 cores",
		start:   startup{binary: 11_300_000, answer: spread{9.6, 9, 12}, memory: singleValue(13)},
		results: []result{{
			row:     row{name: "GET", doc: "reads", sessions: million, metrics: []metric{requests.atLeast(0.85), cpuPerRequest}, single: residentFigures},
			service: []sample{{rate: 20_000, cpu: 30, p50: 0.5, p99: 2, p999: 8}},
			yardsticks: []yardstickResult{
				{"net/http", []sample{{rate: 40_000, cpu: 20, p50: 0.25, p99: 1}}},
				{"fasthttp", []sample{{rate: 80_000, cpu: 10}}},
			},
			loaded: 1_813_000_000, rested: 1_513_000_000, document: 1000,
		}, {
			row:        row{name: "PATCH, bolt", doc: "writes", onDisk: true, metrics: []metric{writesPerFsync.atLeast(20), writesPerFlush}},
			service:    []sample{{rate: 10_000, writesPerFlush: 25}},
			yardsticks: []yardstickResult{{"the disk alone", []sample{{rate: 1000}}}},
		}, {
			row:     row{name: "GET, Redis", doc: "reads there", onRedis: true, metrics: []metric{requests.atLeast(0.5)}},
			service: []sample{{rate: 10_000, cpu: 60, p50: 1, p99: 4, redisCPU: 12.5}},
			yardsticks: []yardstickResult{
				{"memory", []sample{{rate: 20_000, cpu: 30, p50: 0.5, p99: 2}}},
				{"redis-benchmark GET", []sample{{rate: 40_000, cpu: 8, p50: 0.25, p99: 1}}},
			},
			redisCost: redisCost{trips: 1, commands: map[string]float64{"mget": 1, "ping": 0.001}},
		}},
		worst: []worstCase{
			{"memory", "touch", 0.2, 8}, {"memory", "PUT", 1.5, 6}, {"memory", "GET", 0.1, 6}, {"redis", "PUT", 9, 6},
		},
		redisMemory: redisMemory{sessions: memorySessions, document: 1000, each: 1612},
		store: &storeFigures{
			Sessions: 1000, Beyond: 222.2, Insert: []float64{1000}, Evict: []float64{1500},
			Reads: [len(readCores)][]float64{{200}, {100}, {90}, {220}},
		},
	}
	path := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, rep.write(path))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page := regexp.MustCompile(` +`).ReplaceAllString(string(content), " ") // less the columns' widths
	for _, want := range []string{
		"| GET | requests/s | 20000 | 40000 | 0.50 [0.50..0.50] | ≥ 0.85 | **no** |\n",
		"| GET | CPU/request | 30.0 µs | 20.0 µs | 1.50 [1.50..1.50] | | |\n",
		"| GET | resident memory at the end of the load, beside the documents | 1813.0 MB | 1000.0 MB | 1.81 [1.81..1.81] | | |\n",
		"| GET | the same 15s after the load | 1513.0 MB | 1000.0 MB | 1.51 [1.51..1.51] | ≤ 1.5 | **no** |\n",
		"| GET | that, per session beyond its document and the idle service | 500 B | | | | |\n",
		"| PATCH, bolt | writes/s to fsyncs/s | 10000 | 1000 | 10.00 [10.00..10.00] | ≥ 20 | **no** |\n",
		"| GET, Redis | requests/s | 10000 | 20000 | 0.50 [0.50..0.50] | ≥ 0.5 | yes |\n",
		"| service, idle | binary | 11.3 MB | | | ≤ 30 | yes |\n",
		"| service, idle | start to first answer | 9.60 ms [9.00 ms..12.00 ms] | | | ≤ 100 | yes |\n",
		"| service, idle | resident memory | 13.0 MB | | | ≤ 25 | yes |\n",
		"| worst request, memory | longest hold: PUT | 1.50 ms | 6.00 ms | 0.25 [0.25..0.25] | ≤ 1 | yes |\n",
		"| worst request, redis | longest hold: PUT | 9.00 ms | 6.00 ms | 1.50 [1.50..1.50] | ≤ 1 | **no** |\n",
		"| store in memory, 1000 sessions | a session beyond its document | 222 B | | | ≤ 250 | yes |\n",
		"| store in memory, 1000 sessions | insert at the cap, beside one with room | 1500 ns | 1000 ns | 1.50 [1.50..1.50] | ≤ 2 | yes |\n",
		"| store in memory, 1000 sessions | read on 8 cores, beside 1 | 90 ns | 200 ns | 0.45 [0.45..0.45] | ≤ 1 | yes |\n",
		"| store in memory, 1000 sessions | read on 32 cores, beside 1 | 220 ns | 200 ns | 1.10 [1.10..1.10] | ≤ 1 | **no** |\n",
		"- GET, latencies of p50, p99 and p99.9: 0.50, 2.00, 8.00 ms; net/http 0.25, 1.00 ms\n",
		"| PATCH, bolt | writes to each flush of the disk | 25.0 [25.0..25.0] | | | | |\n",
		"- **GET**: reads. Yardstick: net/http.\n",
		"- **GET, Redis**: reads there. Yardstick: memory.\n",
		"- GET, Redis, each request: 1.00 round trips (commands, those of scripts with them: mget 1.00); 12.5 µs of redis-server's processor time under load\n",
		"- GET, Redis, beside redis-benchmark GET: 40000 requests/s, 8.0 µs of redis-server each; ratio of requests/s 0.25 [0.25..0.25]\n",
		"- GET, beside fasthttp: 80000 requests/s, 10.0 µs each; ratio of requests/s 0.25 [0.25..0.25], of net/http's 0.50 [0.50..0.50]\n",
		"- a session in Redis: 612 bytes beyond its document of 1000 bytes (indexes included, mean of 10000)\n",
		"Measured on 2 cores.",
		"    go run ./bench -rounds 5 -duration 3s -connections 32 -million=false\n",
		"medians of 5 rounds",
	} {
		assert.Contains(t, page, strings.TrimLeft(want, " "))
	}
}
