// Package crash_test holds the service to what it promises of its data file: it
// runs the real binary under load, takes its life or its power away at any
// moment, starts it again, and compares what is there with what clients were
// told.
//
// KILLS is how many times that happens (12, or 500 where SOAK is set), SEED makes a run choose as another
// did, and CRASH_DIR names a directory on the disk that is meant; there the data
// of a run that failed stays.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// binary is the service, as it is shipped.
var binary string

func TestMain(m *testing.M) {
	var err error
	if binary, err = servicetest.Build(); err != nil {
		panic(err)
	}
	m.Run()
}

// kills is how many times a test takes the service down.
func kills(t *testing.T) int {
	t.Helper()
	return int(number(t, "KILLS", uint64(soaktest.Times(12, 500))))
}

// newRandom returns what decides all that the test leaves to chance. When
// requests meet, and where a kill meets them, is beyond it.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, "SEED", rand.Uint64N(1_000_000))
	t.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, name)
	return n
}

// onDisk returns a directory that is on a disk: what is in memory alone says
// nothing.
func onDisk(t *testing.T) string {
	t.Helper()
	places := []string{os.TempDir(), "/var/tmp"}
	if place := os.Getenv("CRASH_DIR"); place != "" {
		places = []string{place}
	}
	for _, place := range places {
		kind := fileSystem(t, place)
		if strings.HasPrefix(kind, "tmpfs") || strings.HasPrefix(kind, "ramfs") {
			continue
		}
		t.Logf("the data is in %s, on %s", place, kind)
		dir, err := os.MkdirTemp(place, "crash-") //nolint:usetesting // on the disk, wherever TempDir is
		require.NoError(t, err)
		t.Cleanup(func() {
			if t.Failed() && os.Getenv("CRASH_DIR") != "" {
				t.Logf("the data is still in %s", dir)
				return
			}
			assert.NoError(t, os.RemoveAll(dir))
		})
		return dir
	}
	require.FailNow(t, "set CRASH_DIR to a directory on a disk", "none of these is: %s", places)
	return ""
}

// fileSystem returns the kind of the file system that holds the path, and its
// device.
func fileSystem(t *testing.T, path string) string {
	t.Helper()
	var at syscall.Stat_t
	require.NoError(t, syscall.Stat(path, &at))
	device := fmt.Sprintf("%d:%d", at.Dev>>8&0xfff, at.Dev&0xff|at.Dev>>12&^0xff)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) { // see proc_pid_mountinfo(5)
		mount, system, _ := strings.Cut(line, " - ")
		if words := strings.Fields(mount); len(words) > 2 && words[2] == device {
			return strings.Join(strings.Fields(system)[:2], " ")
		}
	}
	return "an unknown file system"
}

// TestKills takes the service's life again and again. Nothing that anybody was
// told may be lost.
func TestKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.crashes(kills(t))
}

// With SESSION_SYNC=interval, what was changed in the last interval may be
// lost, and nothing else; what was ended stays ended.
func TestKillsWithInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300*time.Millisecond)
	w.crashes(max(1, kills(t)/2))
	require.Positive(t, w.sum(func(c *client) int { return c.told.lost }), "no kill has come between a change and the disk")
}
