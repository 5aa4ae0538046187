package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statTail is what stands behind the command in /proc/<pid>/stat.
const statTail = " S 1 4242 4242 0 -1 4194560 3501 0 12 0 1234 566 0 0 20 0 9 0 281922 1270210560 3321 18446744073709551615\n"

func TestParseStat(t *testing.T) {
	for name, c := range map[string]struct {
		stat string
		want time.Duration
	}{
		"plain":       {"4242 (session-api)" + statTail, 18 * time.Second},
		"blank":       {"4242 (session api)" + statTail, 18 * time.Second},
		"parentheses": {"4242 (a) S 1 (b))" + statTail, 18 * time.Second},
		"one tick":    {"1 (x) S 1 1 1 0 -1 0 0 0 0 0 0 1 0", 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(c.stat)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestParseStatOfSomethingElse(t *testing.T) {
	for name, stat := range map[string]string{
		"empty":          "",
		"no command":     "4242" + statTail,
		"short":          "4242 (session-api) S 1 4242",
		"not a number":   "1 (x) S 1 1 1 0 -1 0 0 0 0 0 one 1 0",
		"below zero":     "1 (x) S 1 1 1 0 -1 0 0 0 0 0 -1 1 0",
		"beyond 32 bits": "1 (x) S 1 1 1 0 -1 0 0 0 0 0 99999999999 1 0",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseStat(stat)
			assert.ErrorContains(t, err, "/proc/<pid>/stat")
		})
	}
}

func TestParseResident(t *testing.T) {
	got, err := parseResident("Name:\tsession-api\nVmPeak:\t 1240440 kB\nVmRSS:\t   13284 kB\nThreads:\t9\n")
	require.NoError(t, err)
	assert.Equal(t, int64(13284)<<10, got)

	for name, status := range map[string]string{
		"empty":        "",
		"none":         "Name:\tkthreadd\nThreads:\t1\n",
		"another unit": "VmRSS:\t13284 MB\n",
		"not a number": "VmRSS:\tmuch kB\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseResident(status)
			assert.ErrorContains(t, err, "VmRSS")
		})
	}
}
