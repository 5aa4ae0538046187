// Package gctune tunes Go's garbage collector to the load: few collections while
// much is allocated, and memory given back when the load is over.
package gctune

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// growth is how much may be allocated until garbage is collected, however
	// little is live. The runtime's own least is 4 MB, which a busy service
	// allocates many times a second.
	growth = 32 << 20
	// slimmest is the smallest part of what is live that may come on top of it,
	// and widest the largest one beyond growth.
	slimmest, widest = 16, 3
	// gcPeriod is how far collections should be apart, in seconds. With a million
	// sessions each takes half a second of a processor or more.
	gcPeriod = 20
)

// leastRoom is the least that may be allocated until garbage is collected, when
// so much is live.
func leastRoom(live uint64) uint64 { return max(growth, live/slimmest) }

// gcPercent returns the GOGC for a heap of which so much is live, when so much
// is allocated in a second. Where that is little, garbage takes little room.
func gcPercent(live, rate uint64) int {
	const most = 1000
	widestRoom := max(growth, min(live, growth+live/widest))
	room := min(max(rate*gcPeriod, leastRoom(live)), widestRoom)
	return int(min(room*100/max(live, 1), most))
}

// Relax lets garbage be collected rarely until restore is called: while a store
// is opened nearly all that is allocated stays. Nothing is done where the
// operator has set GOGC.
func Relax(environ map[string]string) (restore func()) {
	if environ["GOGC"] != "" {
		return func() {}
	}
	const percent = 400
	before := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(before) }
}

// Start sets GOGC anew after each collection, and gives memory back when the
// load is over, until stop. Where the operator has set GOGC, nothing of that is
// done; GOMEMLIMIT holds in any case.
func Start(environ map[string]string) (stop func()) {
	if environ["GOGC"] != "" {
		return func() {}
	}
	t := &gcTuner{percent: gcPercent(growth, 0), allocated: readHeap().allocated, ended: make(chan struct{})}
	t.before = debug.SetGCPercent(t.percent)
	t.await()
	go t.watch()
	return t.stop
}

type gcTuner struct {
	ended chan struct{}

	mu              sync.Mutex
	before, percent int
	stopped         bool
	// rate is how much is allocated in a second: what it was lately, or more.
	// It falls slowly, so that a pause between two requests is none in the load.
	rate uint64
	// allocated is what had been allocated at the last look.
	allocated uint64
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
	heap := readHeap()
	next := gcPercent(heap.live, max(t.rate, heap.allocated-t.allocated))
	// Setting it stops the world for a moment: only for a difference.
	if off := next - t.percent; off > t.percent/8 || -off > t.percent/8 {
		debug.SetGCPercent(next)
		t.percent = next
	}
	t.await()
}

// watch looks each second.
func (t *gcTuner) watch() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-second.C:
			if t.look(readHeap()) {
				debug.FreeOSMemory()
			}
		case <-t.ended:
			return
		}
	}
}

// look is called each second with the state of the heap. It reports whether
// there is memory to give back: a lot is free or garbage, and it would take long
// until that is used or collected.
func (t *gcTuner) look(heap heapState) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate = max(heap.allocated-t.allocated, t.rate/4*3)
	t.allocated = heap.allocated
	least := leastRoom(heap.live)
	return t.rate*gcPeriod < least && heap.held > heap.live+2*least
}

// stop leaves GOGC as it was before.
func (t *gcTuner) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	t.stopped = true
	close(t.ended)
	debug.SetGCPercent(t.before)
}

// heapState is the state of the heap, in bytes.
type heapState struct {
	// live is what the last collection has found to be reachable.
	live uint64
	// allocated is the sum of all that was ever allocated.
	allocated uint64
	// held is what the system has given, whatever it is used for.
	held uint64
}

func readHeap() heapState {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	h := heapState{live: samples[0].Value.Uint64(), allocated: samples[1].Value.Uint64()}
	for _, s := range samples[2:] {
		h.held += s.Value.Uint64()
	}
	return h
}
