package bolt

import (
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store/backend"
)

// commitBounds are the upper bounds of how long transactions take, in seconds.
var commitBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// health is what is known of the file and its disk by others than the committer.
type health struct {
	fileBytes, freeBytes, liveBytes, volumeFree atomic.Int64

	mu       sync.Mutex
	clock    clock
	failures int64
	commits  []int64 // by commitBounds, and beyond
	seconds  float64
	last     time.Duration // when the last transaction was written
	failing  time.Duration // since when none is; 0: they are
}

func (h *health) init() {
	h.clock = startClock()
	h.commits = make([]int64, len(commitBounds)+1)
	h.last = h.clock.now()
}

// took notes how long a transaction has taken.
func (h *health) took(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := 0
	for i < len(commitBounds) && d.Seconds() > commitBounds[i] {
		i++
	}
	h.commits[i]++
	h.seconds += d.Seconds()
}

// wrote notes that the file is as it should be.
func (h *health) wrote(c *committer) {
	c.keepUp()
	if c.data != nil {
		h.freeBytes.Store(c.freeInFile())
	}
	h.liveBytes.Store(c.liveLog())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.failing = h.clock.now(), 0
}

// failure notes that it could not be written.
func (h *health) failure() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	if h.failing == 0 {
		h.failing = h.clock.now()
	}
}

// failingFor returns how long nothing could be written.
func (h *health) failingFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == 0 {
		return 0
	}
	return h.clock.now() - h.failing
}

// file returns what others may know.
func (c *committer) file() backend.FileStats {
	h := &c.health
	st := backend.FileStats{
		State: "writable", Writable: true,
		Bytes: h.fileBytes.Load(), FreeBytes: h.freeBytes.Load(), LiveBytes: h.liveBytes.Load(), VolumeFreeBytes: h.volumeFree.Load(),
	}
	switch {
	case c.disowned.Load():
		st.State, st.Writable = "another process has taken the data file: nothing is written", false
	case c.failed.isOn():
		st.State, st.Writable = "the data file cannot be written: nothing can be changed", false
	case c.stuck.isOn():
		st.State, st.Writable = "the disk takes too long: nothing can be changed until it has written what it has", false
	case c.full.isOn():
		st.State, st.Writable = "the volume is full: sessions can end, and nothing else can be changed", false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st.CommitFailures, st.LastCommitAge = h.failures, h.clock.now()-h.last
	st.CommitSeconds = h.seconds
	st.CommitBuckets = make(map[float64]uint64, len(commitBounds))
	for i, n := range h.commits {
		st.Commits += uint64(n) //nolint:gosec // positive
		if i < len(commitBounds) {
			st.CommitBuckets[commitBounds[i]] = st.Commits
		}
	}
	return st
}

// unready says why the store should get no requests, nil if it should: the file is
// another process's, or could not be written for as long as that.
func (c *committer) unready(after time.Duration) error {
	switch {
	case c.disowned.Load():
		return &backend.UnreadyError{Reason: "Another process has taken the data file.", Err: errDisowned}
	case after > 0 && c.failed.isOn() && c.health.failingFor() >= after:
		return &backend.UnreadyError{Reason: "The data file cannot be written.", Err: errFailed}
	}
	return nil
}
