package bolt_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
	"session-api/internal/store/storetest"
)

// scratch returns a directory where that is possible in memory: the suite is not
// about disks, and does little else than wait for one.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bolt-test-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// options are those of a store in a directory, with the suite's limits.
func options(dir string, limits storetest.Limits) bolt.Options {
	o := bolt.Options{CommitTimeout: patience, Dir: dir, Memory: memory.Options{
		Policy:     memory.Policy(limits.Policy),
		MaxEntries: limits.MaxEntries,
		MaxBytes:   limits.MaxBytes,
		Reserve:    limits.Reserve,
		Tombstone:  limits.Tombstone,
		Events:     limits.Events,
		Requests:   memory.RequestLimits{Entries: limits.Requests, Bytes: limits.RequestBytes},
	}}
	bolt.ReserveLittle(&o)
	return o
}

// suite opens stores of the conformance suite, each in a directory of its own.
func suite(interval time.Duration) storetest.Open {
	return func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		clock := storetest.NewFakeClock()
		o := options(scratch(t), limits)
		o.Interval = interval
		s, err := bolt.Open(clock.Now(), o)
		require.NoError(t, err)
		return s, clock
	}
}

func TestStore(t *testing.T) {
	soaktest.RandomRuns(t, 8)
	storetest.Run(t, suite(0))
}

// ofMemory are groups of the suite in which it makes no difference when a change
// reaches the disk: they read what is in memory, or try every combination of settings.
var ofMemory = []string{"List", "Cursor", "Spans", "Count", "LimitLife", "Settings", "Many"}

func TestStoreWithInterval(t *testing.T) {
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, suite(20*time.Millisecond), ofMemory...)
}

func TestEviction(t *testing.T) {
	soaktest.RandomRuns(t, 8)
	storetest.RunEviction(t, suite(0))
}

func TestEvictionWithInterval(t *testing.T) {
	soaktest.RandomRuns(t, 8)
	storetest.RunEviction(t, suite(20*time.Millisecond))
}
