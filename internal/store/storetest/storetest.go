// Package storetest is the conformance suite of backend.Store: what a store must
// do to be one, said in tests. A store's own test only calls Run, and
// RunEviction if it makes room by itself.
package storetest

import (
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

// Open returns an empty store with the limits, and the clock of its time. The
// suite closes the store, and may open several, one after the other or at once.
type Open func(t testing.TB, limits Limits) (backend.Store, Clock)

// Limits are what a store is to keep, and for how long. Run opens stores without
// limits on sessions.
type Limits struct {
	// Policy is "lru", "ttl" or "none", as in the settings.
	Policy string
	// MaxEntries and MaxBytes are the most that is stored; 0 for no limit.
	MaxEntries int
	MaxBytes   int64
	// Reserve is how many percent of both guests cannot take.
	Reserve int
	// Tombstone is how long ended keys are remembered, in the time of the
	// clock; 0 for not at all.
	Tombstone time.Duration
	// Requests and RequestBytes are how many requests with an Idempotency-Key are
	// kept, and how many bytes of them; 0 leaves it to the store.
	Requests     int
	RequestBytes int64
	// Events is about how many events are kept for followers: a few hundred
	// more do no harm. 0 leaves it to the store, which keeps at least 1000.
	Events int
}

// Clock is where the suite takes the time from that it hands to the store. It
// is a fake where the store goes by that alone; where something else lets
// sessions expire as well, a server for one, Advance must move that too.
type Clock interface {
	Now() time.Time
	Advance(d time.Duration)
}

// Run runs the suite for a store without limits.
func Run(t *testing.T, open Open) {
	t.Helper()
	run(t, open)
}

// RunWithout is Run without some groups, for one more way to a store that passes
// all of them. Long tests run all.
func RunWithout(t *testing.T, open Open, groups ...string) {
	t.Helper()
	if soaktest.Long() {
		groups = nil
	}
	run(t, open, groups...)
}

func run(t *testing.T, open Open, without ...string) {
	t.Helper()
	relaxCollector(t)
	for _, group := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"Create", testCreate},
		{"Life", testLife},
		{"Read", testRead},
		{"Swap", testSwap},
		{"Touch", testTouch},
		{"Facts", testFacts},
		{"Delete", testDelete},
		{"Expiry", testExpiry},
		{"LimitLife", testLimitLife},
		{"Regenerate", testRegenerate},
		{"Grace", testGrace},
		{"SignIn", testSignIn},
		{"Tombstones", testTombstones},
		{"OldKeys", testOldKeys},
		{"List", testList},
		{"Cursor", testCursor},
		{"Spans", testSpans},
		{"Several", testSeveral},
		{"Namespaces", testNamespaces},
		{"Count", testCount},
		{"Clear", testClear},
		{"Files", testFiles},
		{"Cancelled", testCancelled},
		{"Stats", testStats},
		{"Events", testEvents},
		{"Follow", testFollow},
		{"Sessions", testSessions},
		{"Settings", testSettings},
		{"Put", testPut},
		{"Requests", testRequests},
		{"States", testStates},
		{"Attempts", testAttempts},
		{"Many", testMany},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
	} {
		if !slices.Contains(without, group.name) {
			t.Run(group.name, func(t *testing.T) { group.run(t, open) })
		}
	}
}

// relaxCollector lets garbage grow to four times of what is live, until the test ends:
// cases keep a few sessions for a moment, and with the race detector a collection takes
// up to a quarter of their time.
func relaxCollector(t *testing.T) {
	t.Helper()
	const percent = 400
	before := debug.SetGCPercent(percent)
	if before < 0 || before > percent { // as GOGC says
		debug.SetGCPercent(before)
		return
	}
	t.Cleanup(func() { debug.SetGCPercent(before) })
}

// FakeClock is a Clock that stands still until it is moved.
type FakeClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewFakeClock returns a clock that shows the present time.
func NewFakeClock() *FakeClock { return &FakeClock{now: time.Now()} }

// Now returns what the clock shows.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward.
func (c *FakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
