package bolt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/historytest"
	"session-api/internal/store/storetest"
)

// historian opens stores for histories, each on what the one before left.
type historian struct {
	t        *testing.T
	now      time.Time
	interval time.Duration
	last     *bolt.Store
	dir      string
}

func newHistorian(t *testing.T, interval time.Duration) *historian {
	t.Helper()
	h := &historian{t: t, now: time.Now(), interval: interval}
	h.open(t.TempDir())
	t.Cleanup(func() { assert.NoError(t, h.last.Close()) })
	return h
}

func (h *historian) open(dir string) *bolt.Store {
	h.t.Helper()
	o := options(dir, storetest.Limits{Tombstone: time.Hour})
	o.Interval = h.interval
	s, err := bolt.Open(h.now, o)
	require.NoError(h.t, err)
	h.last, h.dir = s, dir
	return s
}

// load is a run whose operations are often given up while the disk works on
// them.
func (h *historian) load() historytest.Load {
	return historytest.Load{
		Instances: []backend.Store{h.last}, Now: h.now, Tombstones: true, Hasty: 5,
	}
}

func TestHistories(t *testing.T) {
	historytest.Check(t, newHistorian(t, 0).load())
}

func TestHistoriesWithInterval(t *testing.T) {
	historytest.Check(t, newHistorian(t, 50*time.Millisecond).load())
}

// crashes ends the process at any moment: what the file holds then is what
// there is.
func (h *historian) crashes(r *historytest.Run) {
	r.PauseUpTo(100 * time.Millisecond)
	r.Crash(0, func(backend.Store) backend.Store {
		dir := h.t.TempDir()
		require.NoError(h.t, os.WriteFile(filepath.Join(dir, dataFile), remains(h.t, filepath.Join(h.dir, dataFile)), 0o600))
		return h.open(dir)
	})
}

// What anybody has been told must be in the file, be it of a change or of a read.
func TestHistoriesOfCrashes(t *testing.T) {
	h := newHistorian(t, 0)
	load := h.load()
	load.Faults = h.crashes
	historytest.Check(t, load)
}

// With an interval, a crash takes away what was acknowledged: if it did not
// here, the test above would say nothing.
func TestHistoriesOfCrashesWithInterval(t *testing.T) {
	var verdict error
	for range 20 { // on a busy machine, little happens between two crashes
		h := newHistorian(t, time.Second)
		load := h.load()
		load.Faults = h.crashes
		if verdict = historytest.Verdict(t, load); verdict != nil {
			break
		}
	}
	require.ErrorIs(t, verdict, historytest.ErrNotLinearizable)
}

// dataFile is the name of the file in its directory.
const dataFile = "sessions.db"

// remains returns what would be left of the file if the process ended now. A
// transaction writes to pages that are free, and then to one of the two at the
// start, which says that it is made: if these are the same before and after, it
// has been one moment.
func remains(t *testing.T, path string) []byte {
	t.Helper()
	heads := 2 * os.Getpagesize()
	for {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		if bytes.Equal(before[:heads], after[:heads]) {
			return before
		}
	}
}

// Restarts in good order lose nothing either.
func TestHistoriesOfRestarts(t *testing.T) {
	h := newHistorian(t, 0)
	load := h.load()
	load.Faults = func(r *historytest.Run) {
		r.PauseUpTo(200 * time.Millisecond)
		r.Restart(0, func() backend.Store { return h.open(h.dir) })
	}
	historytest.Check(t, load)
}
