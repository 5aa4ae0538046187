package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	ok200   = `session_api_http_requests_total{method="PATCH",route="/api/session",status="200"}`
	bad401  = `session_api_http_requests_total{method="PATCH",route="/api/session",status="401"}`
	gone499 = `session_api_http_requests_total{method="PATCH",route="/api/session",status="499"}`
	other   = `session_api_http_requests_total{method="GET",route="/metrics",status="200"}`
	setting = `session_api_store_sets_total{store="memory"}`
)

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics("# HELP x Requests.\n# TYPE x counter\n" + ok200 + " 1.234567e+06\n\ngo_goroutines 12\n")
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{ok200: 1234567, "go_goroutines": 12}, got)

	for _, text := range []string{"nonsense\n", "name value\n", "17\n"} {
		_, err := parseMetrics(text)
		assert.ErrorContains(t, err, "metrics", text)
	}
}

func TestCountLines(t *testing.T) {
	for content, want := range map[string]int64{
		"":                       0,
		"one\n":                  1,
		"one\ntwo\nand a half":   2,
		strings.Repeat("\n", 7):  7,
		longLine + "\nand one\n": 2,
	} {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		got, err := countLines(path)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

// longLine is longer than the buffer that lines are counted in.
var longLine = strings.Repeat("x", 3<<20)

func TestProve(t *testing.T) {
	before := counters{map[string]float64{ok200: 100, setting: 50}, 10}
	for name, c := range map[string]struct {
		after counters
		want  string // part of the error; empty for none
	}{
		"all there":         {counters{map[string]float64{ok200: 300, setting: 250}, 210}, ""},
		"some in flight":    {counters{map[string]float64{ok200: 310, setting: 260, other: 2}, 220}, ""},
		"too few answers":   {counters{map[string]float64{ok200: 299, setting: 250}, 210}, "counts 199 answers 200"},
		"another status":    {counters{map[string]float64{ok200: 300, bad401: 1, setting: 250}, 210}, "401"},
		"some given up":     {counters{map[string]float64{ok200: 300, gone499: 32, setting: 250}, 210}, ""},
		"too many given up": {counters{map[string]float64{ok200: 300, gone499: 33, setting: 250}, 210}, "33"},
		"nothing written":   {counters{map[string]float64{ok200: 300, setting: 50}, 210}, "the store on memory counts 0 sets"},
		"too few log lines": {counters{map[string]float64{ok200: 300, setting: 250}, 209}, "199 are in the log"},
	} {
		t.Run(name, func(t *testing.T) {
			r := row{method: http.MethodPatch, path: "/api/session?not=of the route", status: http.StatusOK, storeCounter: sets, logged: true}
			err := r.verifyCounters(before, c.after, 200, 32)
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.want)
		})
	}
}
