package bolt_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/bolt/disktest"
	"session-api/internal/store/memory"
)

func TestMain(m *testing.M) {
	disktest.Main()
	os.Exit(m.Run())
}

// within fails the test if something did not happen "within a second".
func within(t testing.TB, began time.Time, what ...any) {
	t.Helper()
	soaktest.Within(t, time.Since(began), 1900*time.Millisecond, what...)
}

// patience is how long a test waits for what should come.
const patience = 2 * time.Minute

// world is a store on a disk, and what has been told of it.
type world struct {
	*bolt.Store
	t   *testing.T
	dir string
	o   bolt.Options

	// held are the sessions that it holds, as told.
	held map[backend.Key]schema.Session
	// ended are those that were told to be ended.
	ended []backend.Key
}

// newWorld opens a store on a disk that may take its time: others use it, too.
func newWorld(t *testing.T, dir string, interval time.Duration) *world {
	t.Helper()
	return openWorld(t, dir, interval, patience)
}

func openWorld(t *testing.T, dir string, interval, commitTimeout time.Duration) *world {
	t.Helper()
	w := &world{t: t, dir: dir, held: map[backend.Key]schema.Session{}}
	w.o = bolt.Options{
		Dir: dir, Interval: interval, CommitTimeout: commitTimeout, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Memory: memory.Options{Policy: memory.LRU, MaxEntries: 100_000, Tombstone: time.Hour},
	}
	w.open()
	return w
}

// newDiskWorld is newWorld on a disk that fails on demand.
func newDiskWorld(t *testing.T, interval time.Duration) (*disktest.Disk, *world) {
	t.Helper()
	disk := disktest.Mount(t)
	return disk, openWorld(t, disk.Dir, interval, bolt.DefaultCommitTimeout)
}

// useCommitTimeout reopens the store with that patience with the disk.
func (w *world) useCommitTimeout(d time.Duration) {
	w.t.Helper()
	w.o.CommitTimeout = d
	w.reopen()
}

func (w *world) open() {
	w.t.Helper()
	s, err := bolt.Open(now, w.o)
	require.NoError(w.t, err)
	w.Store = s
}

// reopen opens the store of the directory again, as a new process would.
func (w *world) reopen() {
	w.t.Helper()
	require.NoError(w.t, w.Close())
	w.open()
}

func (w *world) create() schema.Session {
	w.t.Helper()
	sess := template(w.t).WithID(schema.NewID())
	require.NoError(w.t, w.Create(w.t.Context(), now, sess))
	w.held[sess.Key()] = sess
	return sess
}

// fill creates n sessions in a few transactions.
func (w *world) fill(n int) {
	w.t.Helper()
	for _, sess := range fill(w.t, w, n) {
		w.held[sess.Key()] = sess
	}
	require.False(w.t, w.t.Failed(), "sessions are missing")
}

func (w *world) end(sess schema.Session) {
	w.t.Helper()
	require.NoError(w.t, w.Delete(w.t.Context(), now, sess.Key(), 0))
	delete(w.held, sess.Key())
	w.ended = append(w.ended, sess.Key())
}

func (w *world) change(sess schema.Session) schema.Session {
	w.t.Helper()
	got, err := w.Swap(w.t.Context(), now, sess, changed(sess))
	require.NoError(w.t, err)
	w.held[sess.Key()] = got
	return got
}

// trySwap changes the first session, and returns how that went.
func trySwap(w *world, sess, _ schema.Session) error {
	_, err := w.Swap(w.t.Context(), now, sess, changed(sess))
	return err
}

func changed(sess schema.Session) schema.Session {
	sess.Revision++
	return sess
}

// requireAll checks that the store holds what it was told to, and nothing else.
func (w *world) requireAll() {
	w.t.Helper()
	for key, want := range w.held {
		got, err := w.Peek(w.t.Context(), now, key)
		require.NoError(w.t, err)
		require.Equal(w.t, want.Revision, got.Revision)
		require.Equal(w.t, string(want.AppendJSON(nil)), string(got.AppendJSON(nil)))
	}
	for _, key := range w.ended {
		_, err := w.Peek(w.t.Context(), now, key)
		require.ErrorIs(w.t, err, backend.ErrNotFound)
		late := template(w.t).WithID(key.ID)
		require.ErrorIs(w.t, w.Create(w.t.Context(), now, late), backend.ErrEnded)
	}
	st, err := w.Stats(w.t.Context(), now)
	require.NoError(w.t, err)
	require.EqualValues(w.t, len(w.held), st.Entries)
}

// requireKept is requireAll, and once more after it was opened again.
func (w *world) requireKept() {
	w.t.Helper()
	w.requireAll()
	w.reopen()
	w.requireAll()
}

// requireReadOnly checks that every kind of write is refused soon, and reads go
// on.
func (w *world) requireReadOnly(sess schema.Session) {
	w.t.Helper()
	ctx := w.t.Context()
	for name, write := range map[string]func() error{
		"Create": func() error { return w.Create(ctx, now, template(w.t).WithID(schema.NewID())) },
		"Swap": func() error {
			_, err := w.Swap(ctx, now, sess, changed(sess))
			return err
		},
		"Touch": func() error {
			_, err := w.Touch(ctx, now.Add(time.Minute), sess.Key(), now.Add(time.Hour+time.Minute))
			return err
		},
		"Regenerate": func() error { return w.Regenerate(ctx, now, sess, sess.WithID(schema.NewID()), now) },
		"Delete":     func() error { return w.Delete(ctx, now, sess.Key(), 0) },
		"Clear": func() error {
			_, err := w.Clear(ctx, now, backend.Filter{Namespace: sess.Namespace})
			return err
		},
		"BeginRequest": func() error {
			key, r := request("refused")
			_, _, err := w.BeginRequest(ctx, now, key, r)
			return err
		},
		"AnswerRequest": func() error {
			key, r := request("refused")
			r.Answer = []byte("x")
			return w.AnswerRequest(ctx, now, key, r)
		},
	} {
		began := time.Now()
		require.ErrorIs(w.t, write(), backend.ErrReadOnly, name)
		within(w.t, began, name)
	}
	for range 100 {
		got, err := w.Get(ctx, now, sess.Key())
		require.NoError(w.t, err)
		require.Equal(w.t, sess.Revision, got.Revision)
	}
}

// untilFails writes until that fails, and checks how.
func (w *world) untilFails() {
	w.t.Helper()
	for began := time.Now(); ; {
		sess := template(w.t).WithID(schema.NewID())
		tried := time.Now()
		err := w.Create(w.t.Context(), now, sess)
		within(w.t, tried)
		if err != nil {
			require.ErrorIs(w.t, err, backend.ErrReadOnly)
			return
		}
		w.held[sess.Key()] = sess
		require.Less(w.t, time.Since(began), patience, "it never fails")
	}
}

// heals waits until writes succeed again.
func (w *world) heals() {
	w.t.Helper()
	for began := time.Now(); ; {
		sess := template(w.t).WithID(schema.NewID())
		err := w.Create(w.t.Context(), now, sess)
		if err == nil {
			w.held[sess.Key()] = sess
			return
		}
		require.ErrorIs(w.t, err, backend.ErrReadOnly)
		require.Less(w.t, time.Since(began), patience, "it does not heal")
		pause()
	}
}

func pause() { <-time.After(20 * time.Millisecond) }

func TestDiskFailures(t *testing.T) {
	for name, fault := range map[string]struct{ fail, mend func(*disktest.Disk) }{
		"full": {
			func(d *disktest.Disk) { d.FailWrites(syscall.ENOSPC) },
			func(d *disktest.Disk) { d.FailWrites(0) },
		},
		"read-only": {
			func(d *disktest.Disk) { d.FailWrites(syscall.EROFS) },
			func(d *disktest.Disk) { d.FailWrites(0) },
		},
		"EIO of writes": {
			func(d *disktest.Disk) { d.FailWrites(syscall.EIO) },
			func(d *disktest.Disk) { d.FailWrites(0) },
		},
		"EIO of syncs": {
			func(d *disktest.Disk) { d.FailSyncs(syscall.EIO) },
			func(d *disktest.Disk) { d.FailSyncs(0) },
		},
		// The transaction is in the file, and perhaps on the disk.
		"EIO of the last sync": {
			func(d *disktest.Disk) { d.FailSyncsOfHead(2*pageSize(), syscall.EIO) },
			func(d *disktest.Disk) { d.FailSyncs(0) },
		},
		"slow": {
			func(d *disktest.Disk) { d.SlowSyncs(time.Hour) },
			func(d *disktest.Disk) { d.SlowSyncs(0) },
		},
	} {
		for _, interval := range []time.Duration{0, 50 * time.Millisecond} {
			if name == "slow" && interval > 0 {
				continue // nothing is refused then, see TestSlowDisk_interval
			}
			t.Run(fmt.Sprintf("%s, interval %v", name, interval), func(t *testing.T) {
				t.Parallel()
				disk, w := newDiskWorld(t, interval)
				if name == "slow" {
					w.useCommitTimeout(bolt.DefaultCommitTimeout)
				}
				sess, gone := w.change(w.create()), w.create()
				w.end(gone)
				fault.fail(disk)
				w.untilFails()
				w.requireReadOnly(sess)
				fault.mend(disk)
				w.heals()
				w.end(w.create())
				w.settleUnknown()
				w.requireKept()
				require.NoError(t, w.Close())
				_, err := bolt.Check(now, w.dir)
				require.NoError(t, err)
			})
		}
	}
}

// settleUnknown takes into account what may have been made although the writer
// was told that it is not sure: a slow disk writes in the end.
func (w *world) settleUnknown() {
	w.t.Helper()
	page, err := w.List(w.t.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, Limit: 1_000_000})
	require.NoError(w.t, err)
	for i := range page.Sessions {
		if sess := page.Sessions[i]; sess.Revision == 1 || w.held[sess.Key()].Revision > 0 {
			w.held[sess.Key()] = sess
		}
	}
}

// What a transaction was to do that failed, and that is in the file all the
// same, has not happened.
func TestFailure_leavesNothingBehind(t *testing.T) {
	for name, act := range map[string]func(w *world, sess, ended schema.Session) error{
		"Create": func(w *world, _, _ schema.Session) error {
			return w.Create(w.t.Context(), now, template(w.t).WithID(schema.NewID()))
		},
		"Revive": func(w *world, _, ended schema.Session) error {
			return w.Create(w.t.Context(), now, ended, backend.Revive)
		},
		"Swap":   trySwap,
		"Delete": func(w *world, sess, _ schema.Session) error { return w.Delete(w.t.Context(), now, sess.Key(), 0) },
		"Regenerate": func(w *world, sess, _ schema.Session) error {
			return w.Regenerate(w.t.Context(), now, sess, sess.WithID(schema.NewID()), now.Add(time.Hour))
		},
		"Clear": func(w *world, sess, _ schema.Session) error {
			_, err := w.Clear(w.t.Context(), now, backend.Filter{Namespace: sess.Namespace})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, w := newDiskWorld(t, 0)
			old := w.create()
			sess := old.WithID(schema.NewID())
			require.NoError(t, w.Regenerate(t.Context(), now, old, sess, now.Add(time.Hour)))
			delete(w.held, old.Key())
			w.held[sess.Key()] = sess
			ended := w.create()
			w.end(ended)
			disk.FailSyncs(syscall.EIO)
			require.ErrorIs(t, act(w, sess, ended), backend.ErrReadOnly)
			disk.FailSyncs(0)
			w.heals()
			w.requireKept()
			led, err := w.Get(t.Context(), now, old.Key())
			require.NoError(t, err)
			require.Equal(t, sess.ID, led.ID)
			require.NoError(t, w.Close())
		})
	}
}

// A session that ends by itself while the disk is at work on it has ended.
func TestSlowDisk_sessionsThatEnd(t *testing.T) {
	later := now.Add(2 * time.Hour)
	for name, act := range map[string]func(w *world, sess, next schema.Session) error{
		"Swap": trySwap,
		"Regenerate": func(w *world, sess, next schema.Session) error {
			return w.Regenerate(w.t.Context(), now, sess, next, now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, w := newDiskWorld(t, 0)
			sess := w.create()
			next := sess.WithID(schema.NewID())
			disk.SlowSyncs(time.Hour)
			written := w.onItsWay(disk)
			done := make(chan error, 1)
			go func() { done <- act(w, sess, next) }()
			written()
			n, err := w.Sweep(t.Context(), later)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			disk.SlowSyncs(0)
			require.ErrorIs(t, <-done, backend.ErrNotFound)
			delete(w.held, sess.Key())
			w.requireKept()
			require.NoError(t, w.Close())
		})
	}
}

// onItsWay returns what waits until the next transaction has been handed to the
// disk, which is slow to sync it.
func (w *world) onItsWay(disk *disktest.Disk) (wait func()) {
	w.t.Helper()
	path := filepath.Join(disk.Under, dataFile)
	before, err := os.ReadFile(path)
	require.NoError(w.t, err)
	return func() {
		w.t.Helper()
		for began := time.Now(); ; pause() {
			now, err := os.ReadFile(path)
			require.NoError(w.t, err)
			if !bytes.Equal(before, now) {
				return
			}
			require.Less(w.t, time.Since(began), patience, "nothing is written")
		}
	}
}

// A writer that leaves, or whose request is over, has not made half a change.
func TestSlowDisk_impatientWriters(t *testing.T) {
	disk, w := newDiskWorld(t, 0)
	sess := w.create()
	disk.SlowSyncs(time.Hour)
	written := w.onItsWay(disk)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			_, err := w.Swap(ctx, now, sess, changed(sess))
			assert.ErrorIs(t, err, backend.ErrReadOnly)
		})
	}
	written()
	cancel()
	running.Wait()
	disk.SlowSyncs(0)
	got, err := w.Touch(t.Context(), now, sess.Key(), now) // which waits for the key
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Revision, "the one that was on its way, and no other")
	w.held[sess.Key()] = got
	w.requireKept()
	require.NoError(t, w.Close())
}

// TestCrash opens what a file holds after each of the writes to it.
func TestCrash(t *testing.T) {
	disk, w := newDiskWorld(t, 0)
	first := w.create()
	require.NoError(t, w.Close())
	before, err := os.ReadFile(filepath.Join(disk.Under, "sessions.db"))
	require.NoError(t, err)
	disk.Record("sessions.db")
	w.open()
	for n := range soaktest.Times(6, 12) {
		first = w.change(first)
		if n%3 == 0 {
			w.end(w.create())
		}
	}
	events := append([]disktest.Event{{Data: before}}, disk.Recorded()...)
	require.NoError(t, w.Close())

	last := int64(0)
	for n := range events {
		w.o.Dir = directoryOf(t, disktest.Image(events[:n+1]))
		s, err := bolt.Open(now, w.o)
		require.NoError(t, err, "after %d of %d", n, len(events))
		got, err := s.Peek(t.Context(), now, first.Key())
		require.NoError(t, err)
		require.GreaterOrEqual(t, got.Revision, last, "nothing that was there is lost")
		last = got.Revision
		require.NoError(t, s.Close())
	}
	require.Equal(t, first.Revision, last)
}
