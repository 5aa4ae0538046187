package gctune

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGCPercent(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		live, rate uint64
		want       int
	}{
		// Little is live: what is allocated does not matter.
		{0, 0, 1000},
		{mib, 0, 1000},
		{8 * mib, 0, 400},
		{8 * mib, gib, 400},
		{growth, 0, 100},
		{growth, gib, 100},
		// Much is live: it does.
		{128 * mib, 0, 25},
		{128 * mib, 2 * mib, 31},
		{128 * mib, gib, 58},
		{gib, 0, 6},
		{gib, 10 * mib, 19},
		{gib, gib, 36},
		{100 * gib, 0, 6},
		{100 * gib, gib, 20},
		{100 * gib, 100 * gib, 33},
	} {
		assert.Equal(t, tt.want, gcPercent(tt.live, tt.rate), "%+v", tt)
	}
}

// percentNow is the GOGC that counts.
func percentNow() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestStartFollowsTheHeap(t *testing.T) {
	before := percentNow()
	stop := Start(nil)
	t.Cleanup(stop)
	held := make([]byte, 2*growth)
	eventually := func(cond func(percent int) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			runtime.GC()
			return cond(percentNow())
		}, 2*time.Minute, time.Millisecond)
	}
	eventually(func(percent int) bool { return percent <= 100 })
	runtime.KeepAlive(held)
	held = nil //nolint:ineffassign,wastedassign // lets go of it
	eventually(func(percent int) bool { return percent > 100 })
	stop()
	assert.Equal(t, before, percentNow())
}

// What the load took is given back once it is over, and not in each of its
// pauses. One look is one second here.
func TestMemoryGoesBack(t *testing.T) {
	var tuner gcTuner
	heap := heapState{live: growth, held: 8 * growth}
	for range 10 {
		heap.allocated += growth
		assert.False(t, tuner.look(heap), "there is load")
	}
	seconds := 1
	for ; !tuner.look(heap); seconds++ {
		require.Less(t, seconds, 100, "it is kept")
	}
	assert.Greater(t, seconds, 3, "a pause")
	heap.held = heap.live + growth
	assert.False(t, tuner.look(heap), "there is nothing to give back")
}

// What readHeap says is held is what debug.FreeOSMemory gives back.
func TestReadHeap(t *testing.T) {
	before := readHeap()
	held := make([]byte, 8*growth)
	there := readHeap()
	assert.GreaterOrEqual(t, there.allocated, before.allocated+8*growth)
	assert.GreaterOrEqual(t, there.held, uint64(8*growth))
	runtime.GC()
	assert.GreaterOrEqual(t, readHeap().live, uint64(8*growth))
	runtime.KeepAlive(held)
	held = nil //nolint:ineffassign,wastedassign // lets go of it
	debug.FreeOSMemory()
	after := readHeap()
	assert.Less(t, after.live, uint64(8*growth))
	assert.Less(t, after.held, uint64(8*growth))
}

func TestRelax(t *testing.T) {
	found := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(found) })
	before := percentNow()
	restore := Relax(map[string]string{})
	assert.Greater(t, percentNow(), before)
	restore()
	assert.Equal(t, before, percentNow())
	Relax(map[string]string{"GOGC": "70"})()
	assert.Equal(t, before, percentNow())
}

func TestStartLeavesTheOperatorsSetting(t *testing.T) {
	before := percentNow()
	stop := Start(map[string]string{"GOGC": "70"})
	defer stop()
	runtime.GC()
	assert.Equal(t, before, percentNow())
}
