package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// growth is how much may be allocated until garbage is collected, however
// little is live. The runtime's own least is 4 MB, which a busy service
// allocates many times a second.
const growth = 32 << 20

// gcPercent returns the GOGC for a heap of which so much is live.
func gcPercent(live uint64) int {
	const usual, most = 100, 1000
	return int(min(max(growth*100/max(live, 1), usual), most))
}

// tuneGC sets GOGC anew after each collection, until stop. Where the operator
// has set it, it stays; GOMEMLIMIT holds in any case.
func tuneGC(environ map[string]string) (stop func()) {
	if environ["GOGC"] != "" {
		return func() {}
	}
	t := &gcTuner{percent: gcPercent(growth)}
	t.before = debug.SetGCPercent(t.percent)
	t.await()
	return t.stop
}

type gcTuner struct {
	mu              sync.Mutex
	before, percent int
	stopped         bool
}

// await tunes when the next collection has found that nothing refers to what
// is left here for it.
func (t *gcTuner) await() {
	type bait struct{ _ *byte } // not so small that it shares its memory
	runtime.AddCleanup(&bait{}, func(t *gcTuner) { t.tune() }, t)
}

func (t *gcTuner) tune() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	next := gcPercent(live[0].Value.Uint64())
	// Setting it stops the world for a moment: only for a difference.
	if off := next - t.percent; off > t.percent/8 || -off > t.percent/8 {
		debug.SetGCPercent(next)
		t.percent = next
	}
	t.await()
}

// stop leaves GOGC as it was before.
func (t *gcTuner) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	debug.SetGCPercent(t.before)
}
