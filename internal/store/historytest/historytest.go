// Package historytest checks that stores are linearizable: that whatever many
// clients do to a session at once, and whatever fails meanwhile, has the same
// answers as if it had been done one thing after the other, each at some moment
// between its call and its return.
//
// Clients do random things to a few sessions for a while. All calls and answers
// are recorded, and then github.com/anishathalye/porcupine looks for an order
// that explains them, in a model that is the contract of backend.Store. What got
// no answer may have happened, may happen at any later time, or never.
//
// Time stands still during a run: expiry is the conformance suite's business.
package historytest

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
)

// Load is what a run does to a store, and what it can ask of it. All but
// Instances may be left out.
type Load struct {
	// Instances are those of one store: what one does, the others see.
	Instances []backend.Store
	// Readers is how many of them, the last ones, are only read.
	Readers int
	// Now is the time of all operations; the present where it is zero.
	Now time.Time
	// Tombstones: the store remembers ended keys, for longer than the run.
	Tombstones bool
	// TwoSteps: a Regenerate that got no answer may have ended the old session
	// and not made the new one, or make it later.
	TwoSteps bool
	// Stale is how old the answer of Get may be, where the instance has not
	// written the key itself lately.
	Stale time.Duration
	// Hasty: one of so many operations has very little time. 0 is none.
	Hasty int
	// Pace is what a client waits after an operation; 0 for nothing.
	Pace time.Duration
	// Families is how many sessions are worked on at the same time, 2 where it
	// is 0, and Operations how many operations each gets, 60 where it is 0.
	Families, Operations int
	// Files is how many files each session refers to. One of them is another with
	// each write. After the run, every live session's files have to be known.
	Files int
	// Most is how many operations there are at most; many where it is 0.
	Most int
	// Faults, where set, is called again and again until the time is over, in
	// the test's own goroutine. It leaves nothing broken behind.
	Faults func(r *Run)
}

const (
	// usualTime is how long a run takes, unless SOAK or HISTORY_TIME says another
	// time ("30s").
	usualTime = time.Second
	// mostOperations bounds what is recorded of a fast store in usualTime.
	mostOperations = 15_000
	// leastOperations are done however long they take, so that a machine that is busy
	// with something else leaves nothing unasked: some ten families of them.
	leastOperations = 600
	clients         = 8
	// patience is how long a store may take to be itself again after the last
	// fault, and glance how long it is asked about what it may not know.
	patience = 2 * time.Minute
	glance   = 200 * time.Millisecond
)

// Run is a run that is under way.
type Run struct {
	t         testing.TB
	load      Load
	seed      uint64
	rand      *rand.Rand
	now       time.Time
	began     time.Time
	limit     int64
	instances []*instance
	over      context.Context // ends when the time is over, or there are enough operations

	operations, lost atomic.Int64
	faults           int

	mu       sync.Mutex
	active   []*family
	families []*family
	absurd   error
}

// Check runs the load, and fails the test if the answers cannot be explained.
func Check(t testing.TB, load Load) {
	t.Helper()
	require.NoError(t, Verdict(t, load))
}

// Verdict is Check that returns what is wrong.
func Verdict(t testing.TB, load Load) error {
	t.Helper()
	load.Families, load.Operations = cmp.Or(load.Families, 2), cmp.Or(load.Operations, 60)
	if load.Now.IsZero() {
		load.Now = time.Now()
	}
	r := &Run{t: t, load: load, seed: uint64(time.Now().UnixNano()), now: schema.Now(load.Now), began: time.Now()}
	length, limit := soaktest.Length(t, usualTime), int64(cmp.Or(load.Most, mostOperations))
	if text, ok := os.LookupEnv("HISTORY_TIME"); ok { //nolint:forbidigo // how long a test takes is no setting of the service
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err, "HISTORY_TIME")
	}
	if length > usualTime {
		limit *= int64(length/usualTime) + 1
	}
	if text, ok := os.LookupEnv("HISTORY_SEED"); ok { //nolint:forbidigo // as above
		var err error
		r.seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "HISTORY_SEED")
	}
	r.rand, r.limit = r.source(0), limit
	for _, s := range load.Instances {
		r.instances = append(r.instances, newInstance(s))
	}
	for range load.Families {
		f := newFamily(r)
		r.active, r.families = append(r.active, f), append(r.families, f)
	}
	r.play(length)
	r.lookAtAll()
	if load.Files > 0 {
		r.lookAtFiles()
	}
	played := r.since()
	err := r.judge()
	t.Logf("seed %d: %d operations on %d sessions, %d without an answer, %d faults, in %.1f s; checked in %.1f s",
		r.seed, r.operations.Load(), len(r.families), r.lost.Load(), r.faults, played.Seconds(), (r.since() - played).Seconds())
	return err
}

// source returns the random numbers of a client, or of the faults.
func (r *Run) source(n int) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, uint64(n)))
}

// play lets clients and faults do what they do.
func (r *Run) play(length time.Duration) {
	over, stop := context.WithTimeout(r.t.Context(), length)
	defer stop()
	r.over = over
	var running sync.WaitGroup
	for n := range clients {
		c := &client{run: r, number: n, instance: n % len(r.instances), rand: r.source(n + 1)}
		c.reader = c.instance >= len(r.instances)-r.load.Readers
		running.Go(func() {
			for over.Err() == nil || r.operations.Load() < min(leastOperations, r.limit) {
				c.act(r.t.Context(), r.family(c.rand))
				if r.operations.Load() >= r.limit {
					stop()
				}
				if r.load.Pace > 0 {
					r.Pause(r.load.Pace)
				}
			}
		})
	}
	for r.load.Faults != nil && over.Err() == nil {
		r.load.Faults(r)
	}
	running.Wait()
}

// family returns one to work on.
func (r *Run) family(rnd *rand.Rand) *family {
	n := rnd.IntN(r.load.Families)
	r.mu.Lock()
	f := r.active[n]
	r.mu.Unlock()
	if !f.worn() {
		return f
	}
	next := newFamily(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[n] == f {
		r.active[n] = next
		r.families = append(r.families, next)
	}
	return r.active[n]
}

// lookAtAll reads every key once more, when everything works: an answer that
// was given must still hold.
func (r *Run) lookAtAll() {
	deadline, stop := context.WithTimeout(r.t.Context(), patience)
	defer stop()
	var next, silent atomic.Int64
	var running sync.WaitGroup
	for n := range clients {
		c := &client{run: r, number: n, instance: n % len(r.instances)}
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(r.families); i = int(next.Add(1)) - 1 {
				if !c.lookAt(deadline, r.families[i]) {
					silent.Add(1)
				}
			}
		})
	}
	running.Wait()
	require.Zero(r.t, silent.Load(), "sessions about which the store says nothing when the run is over")
}

// lookAtFiles looks for the files of all sessions that there are.
func (r *Run) lookAtFiles() {
	s, leave := r.instances[0].enter()
	defer leave()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	live := map[string]bool{}
	for _, f := range r.families {
		for key := range f.ids {
			sess, err := s.Peek(ctx, r.now, f.key(int8(key)))
			for errors.Is(err, backend.ErrUnavailable) && ctx.Err() == nil { // it has little time
				sess, err = s.Peek(ctx, r.now, f.key(int8(key)))
			}
			if errors.Is(err, backend.ErrNotFound) {
				continue
			}
			require.NoError(r.t, err)
			for _, path := range sess.Files {
				live[path] = true
			}
		}
	}
	require.NotEmpty(r.t, live)
	known := func() error {
		return s.Files(ctx, r.now, func(path string) error {
			delete(live, path)
			return nil
		})
	}
	err := known()
	for errors.Is(err, backend.ErrUnavailable) && ctx.Err() == nil {
		err = known()
	}
	require.NoError(r.t, err)
	require.Empty(r.t, live, "files that sessions refer to, and that are in no index")
}

// lookAt reads all keys of a family. It reports whether they were answered.
func (c *client) lookAt(ctx context.Context, f *family) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for key := int8(0); int(key) < len(f.ids); {
		res := c.lookAtKey(ctx, f, key)
		if res != lost || f.halfway {
			key++ // a session that got only half of the way may be waited for
			continue
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

func (c *client) lookAtKey(ctx context.Context, f *family, key int8) failure {
	if f.halfway {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, glance)
		defer cancel()
	}
	name := f.key(key)
	return c.do(f, call{kind: peek, key: key}, func(s backend.Store) (schema.Session, error) {
		return s.Peek(ctx, c.run.now, name)
	}).failure
}

// since is the time of the history.
func (r *Run) since() time.Duration { return time.Since(r.began) }

// offset is a time as versions have it.
func (r *Run) offset(t time.Time) int32 { return int32(t.Sub(r.now).Milliseconds()) }

func (r *Run) count(f failure) {
	r.operations.Add(1)
	if f == lost {
		r.lost.Add(1)
	}
}

// complain notes an error that no store may return.
func (r *Run) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.absurd == nil {
		r.absurd = err
	}
}

// What faults use.

// Rand returns the random numbers of faults.
func (r *Run) Rand() *rand.Rand { return r.rand }

// Fault counts one.
func (r *Run) Fault() { r.faults++ }

// Pause waits, but not longer than the run takes.
func (r *Run) Pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.over.Done():
	}
}

// PauseUpTo waits for some time below d.
func (r *Run) PauseUpTo(d time.Duration) { r.Pause(time.Duration(r.rand.Int64N(int64(d)))) }

// Crash counts a fault and puts another store into the place of an instance, as
// if its process had ended while calls were under way: their answers are lost.
// reopen is called while they go on. The old store is closed afterwards.
func (r *Run) Crash(n int, reopen func(old backend.Store) backend.Store) {
	r.t.Helper()
	r.Fault()
	r.instances[n].replace(r.t, true, reopen)
}

// Restart counts a fault and closes the store of an instance, when the calls
// that are under way have ended, for the one that reopen returns.
func (r *Run) Restart(n int, reopen func() backend.Store) {
	r.t.Helper()
	r.Fault()
	r.instances[n].replace(r.t, false, func(backend.Store) backend.Store { return reopen() })
}
