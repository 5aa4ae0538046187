package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGCPercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         1000,
		1 << 20:   1000,
		8 << 20:   400,
		16 << 20:  200,
		growth:    100,
		64 << 20:  100,
		100 << 30: 100,
	} {
		assert.Equal(t, want, gcPercent(live), live)
	}
}

// percentNow is the GOGC that counts.
func percentNow() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestTuneGCFollowsTheHeap(t *testing.T) {
	before := percentNow()
	stop := tuneGC(nil)
	t.Cleanup(stop)
	held := make([]byte, 2*growth)
	eventually := func(cond func(percent int) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			runtime.GC()
			return cond(percentNow())
		}, patience, time.Millisecond)
	}
	eventually(func(percent int) bool { return percent == 100 })
	runtime.KeepAlive(held)
	held = nil //nolint:ineffassign,wastedassign // lets go of it
	eventually(func(percent int) bool { return percent > 100 })
	stop()
	assert.Equal(t, before, percentNow())
}

func TestTuneGCLeavesTheOperatorsSetting(t *testing.T) {
	before := percentNow()
	stop := tuneGC(map[string]string{"GOGC": "70"})
	defer stop()
	runtime.GC()
	assert.Equal(t, before, percentNow())
}
