package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPeersAreRanked(t *testing.T) {
	group := func() []peerSamples {
		return []peerSamples{
			{&peer{name: "session-api", kept: "Redis", redis: &process{}, own: &serviceUnderTest{}}, []sample{{rate: 1000, cpu: 30, redisCPU: 10, p50: 1, p99: 2}}},
			{&peer{name: "other", kept: "Redis", redis: &process{}}, []sample{{rate: 2000, cpu: 20, redisCPU: 25, p50: 1, p99: 2}}},
			{&peer{name: "third", kept: "Redis", redis: &process{}}, []sample{{rate: 500, cpu: 90, redisCPU: 5, p50: 1, p99: 2}}},
		}
	}
	lines := rank(readSession, group())
	require.Len(t, lines, 3)
	assert.Equal(t, []string{readSession, "Redis", "other", "2000", "2.00 [2.00..2.00]", "20.0 µs", "25.0 µs", "1.00", "2.00", "most requests"}, lines[0])
	assert.Equal(t, []string{readSession, "Redis", "session-api", "1000", "1.00 [1.00..1.00]", "30.0 µs", "10.0 µs", "1.00", "2.00", "least CPU"}, lines[1])
	assert.Empty(t, lines[2][9])

	path := filepath.Join(t.TempDir(), "peers.md")
	rep := peersReport{options: options{rounds: 5, duration: 1e9, connections: 32}, machine: "2 cores", results: peerResults{readSession: group(), writeKey: group()}}
	for operation, list := range rep.results {
		own := &peer{name: "session-api", kept: "memory", own: &serviceUnderTest{}}
		rep.results[operation] = append(list, peerSamples{own, list[0].samples})
	}
	require.NoError(t, rep.write(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, want := range []string{"| write one key  | Redis       | other       |", "same 32 connections", "medians of 5 rounds", "`go run ./bench -peers -rounds 5 -duration 1s -connections 32`", "Measured on 2 cores."} {
		assert.Contains(t, string(page), want)
	}
}

func TestWebdisSettings(t *testing.T) {
	got, err := webdisSettings("127.0.0.1:4711", "127.0.0.1:6380", "/tmp/log")
	require.NoError(t, err)
	assert.Contains(t, string(got), `"http_port":4711`)
	assert.Contains(t, string(got), `"redis_port":6380`)
	_, err = webdisSettings("nowhere", "127.0.0.1:6380", "/tmp/log")
	assert.Error(t, err)
}
