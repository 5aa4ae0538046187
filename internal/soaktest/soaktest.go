// Package soaktest says how long tests go on that could always go on longer:
// floods, kills, restarts under load, random histories, sweeps of every case. They
// are short by default, so that all tests together take minutes. make soak sets
// SOAK, a duration, and they are long.
package soaktest

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Long reports whether tests are to be long.
func Long() bool {
	return os.Getenv("SOAK") != "" //nolint:forbidigo // how long a test takes is no setting of the service
}

// Times returns how often a test does what costs time: few, or many where tests
// are long.
func Times(few, many int) int {
	if Long() {
		return many
	}
	return few
}

// Length returns how long a part goes on that has no end of its own: SOAK, or
// short where that is not set.
func Length(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	if !Long() {
		return short
	}
	length, err := time.ParseDuration(os.Getenv("SOAK")) //nolint:forbidigo // as above
	require.NoError(t, err, "SOAK is how long, as in 10m")
	return length
}

// RandomRuns makes a test's properties hold for fewer random runs than
// rapid's 100: for stores that take a hundred times as long for one as memory does.
// Long tests, and those that are told how many, are left alone.
func RandomRuns(t testing.TB, few int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if Long() || checks == nil || checks.Value.String() != checks.DefValue {
		return
	}
	require.NoError(t, checks.Value.Set(strconv.Itoa(few)))
	t.Cleanup(func() { require.NoError(t, checks.Value.Set(checks.DefValue)) })
}

// busy is how much longer than promised something may take where other tests
// take the processor: enough that only what hangs, or waits for another deadline,
// is beyond it.
const busy = 20 * time.Second

// Within fails the test if something took longer than promised. Only long tests
// hold it to the promise itself: they run one package at a time.
func Within(t testing.TB, took, promised time.Duration, what ...any) {
	t.Helper()
	if !Long() {
		promised += busy
	}
	assert.LessOrEqual(t, took, promised, what...)
}
