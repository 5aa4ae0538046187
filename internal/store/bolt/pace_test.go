package bolt

import (
	"bytes"
	"context"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// Time passes here only while everybody waits: what the disk takes is what a
// test says, and nothing is late because the machine is busy.

// midnight is the time that sessions go by.
var midnight = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

// inBubble runs a test on a store.
func inBubble(t *testing.T, interval time.Duration, test func(t *testing.T, s *Store)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(midnight, Options{Dir: dir, Interval: interval, Memory: memory.Options{Tombstone: time.Hour}})
		require.NoError(t, err)
		test(t, s)
		require.NoError(t, s.Close())
	})
}

// made returns a session that is not stored.
func made(t testing.TB) schema.Session {
	t.Helper()
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), Revision: 1,
		CreatedAt: midnight, UpdatedAt: midnight, ExpiresAt: midnight.Add(time.Hour), TTL: time.Hour,
	}, schema.EmptySections())
	require.NoError(t, err)
	return sess
}

// created returns one that is.
func (s *Store) created(t *testing.T) schema.Session {
	t.Helper()
	sess := made(t)
	require.NoError(t, s.Create(t.Context(), midnight, sess))
	return sess
}

// revised makes the next revision of a session.
func (s *Store) revised(ctx context.Context, sess *schema.Session) error {
	next := *sess
	next.Revision++
	got, err := s.Swap(ctx, midnight, *sess, next)
	if err == nil {
		*sess = got
	}
	return err
}

// busy makes one transaction take that long, and returns once it has begun.
// What it returns is closed when only the disk is left to wait for.
func (s *Store) busy(d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	s.queue.hold(func() {
		<-time.After(d)
		close(over)
	})
	synctest.Wait()
	return over
}

// slow makes each transaction take that long, until stop is called.
func (s *Store) slow(d time.Duration) (stop func()) {
	var stopped atomic.Bool
	var hold func()
	hold = func() {
		if !stopped.Load() {
			s.queue.hold(hold)
		}
		<-time.After(d)
	}
	s.queue.hold(hold)
	return func() { stopped.Store(true) }
}

// hold calls a function within a transaction.
func (q *queue) hold(while func()) {
	q.put(&operation{
		write: func(*writer) error { while(); return nil },
		apply: func() error { return nil },
		done:  make(chan error, 1),
	})
}

// disk shows what a loss of power would leave of a store. The zero disk has not
// been read yet.
type disk struct {
	file      []byte
	revisions map[backend.Key]int64
}

// revisionsOf returns which revisions of which sessions there are. It decodes a
// file only if a byte of it has changed since the call before: a test that looks
// every few milliseconds finds the same one most of the time.
func (d *disk) revisionsOf(t *testing.T, s *Store) map[backend.Key]int64 {
	t.Helper()
	synctest.Wait() // nobody is within a write to the file
	file, err := os.Open(s.committer.path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	info, err := file.Stat()
	require.NoError(t, err)
	// The race detector would look at each byte of a buffer that is read into.
	now, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Munmap(now)) }()
	if !bytes.Equal(now, d.file) {
		d.file, d.revisions = bytes.Clone(now), s.onDisk(t)
	}
	return d.revisions
}

// onDisk returns which revisions of which sessions a loss of power would leave.
func (s *Store) onDisk(t *testing.T) map[backend.Key]int64 {
	t.Helper()
	synctest.Wait() // nobody is within a write to the file
	file, err := os.Open(s.committer.path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	held, err := readContent(file, midnight)
	require.NoError(t, err)
	revisions := make(map[backend.Key]int64)
	for _, at := range held.live {
		value := make([]byte, at.size)
		_, err := file.ReadAt(value, at.off)
		require.NoError(t, err)
		e, err := openEntry(appendNumber(nil, at.number), value)
		require.NoError(t, err)
		sess, err := e.session()
		require.NoError(t, err)
		revisions[sess.Key()] = sess.Revision
	}
	return revisions
}

// What was acknowledged an interval before the last change that was, or longer,
// is on the disk at any time, whatever that is busy with. A writer that cannot
// be promised that waits; none is refused.
func TestInterval(t *testing.T) {
	const interval, step = 300 * time.Millisecond, 7 * time.Millisecond
	long := time.Duration(soaktest.Times(2500, 5000)) * time.Millisecond
	for _, delay := range []time.Duration{
		0, 40 * time.Millisecond, 130 * time.Millisecond, 210 * time.Millisecond, 290 * time.Millisecond, 700 * time.Millisecond,
	} {
		t.Run(delay.String(), func(t *testing.T) {
			inBubble(t, interval, func(t *testing.T, s *Store) {
				sess := s.created(t)
				if delay > 0 {
					defer s.slow(delay)()
				}
				type change struct {
					revision int64
					at       time.Duration
				}
				var old []change // those that may still be lost
				var safe int64
				var shown disk
				longest, from := time.Duration(0), s.queue.clock.now()
				for s.queue.clock.now()-from < long {
					<-time.After(step)
					began := s.queue.clock.now()
					require.NoError(t, s.revised(t.Context(), &sess))
					now := s.queue.clock.now()
					longest = max(longest, now-began)
					old = append(old, change{sess.Revision, now})
					for ; now-old[0].at >= interval; old = old[1:] {
						safe = old[0].revision
					}
					require.GreaterOrEqual(t, shown.revisionsOf(t, s)[sess.Key()], safe)
				}
				assert.Positive(t, safe)
				if delay <= interval/5 {
					assert.Zero(t, longest, "who need not wait does not")
				}
				if delay > interval {
					assert.Greater(t, longest, interval/5)
				}
				assert.LessOrEqual(t, longest, 2*(delay+maxGather))
			})
		})
	}
}

// A flood of new sessions is held back as far as the disk keeps up with it, and
// none is refused, however many transactions it takes.
func TestInterval_flood(t *testing.T) {
	const (
		interval, step, disk = 300 * time.Millisecond, 10 * time.Millisecond, 120 * time.Millisecond
		perStep, steps       = 200, 40
	)
	inBubble(t, interval, func(t *testing.T, s *Store) {
		defer s.slow(disk)()
		type change struct {
			key backend.Key
			at  time.Duration
		}
		var all []change
		from := s.queue.clock.now()
		for n := range steps {
			<-time.After(step)
			for range perStep {
				sess := s.created(t)
				all = append(all, change{sess.Key(), s.queue.clock.now()})
			}
			if n%4 != 3 {
				continue
			}
			now, there := s.queue.clock.now(), s.onDisk(t)
			for _, c := range all {
				if now-c.at >= interval && there[c.key] == 0 {
					t.Fatalf("a session that is %v old is not on the disk", now-c.at)
				}
			}
		}
		assert.Greater(t, s.queue.clock.now()-from, steps*step)
	})
}

// A change that nothing comes after is on the disk within the interval.
func TestInterval_lastChange(t *testing.T) {
	const interval = 300 * time.Millisecond
	inBubble(t, interval, func(t *testing.T, s *Store) {
		sess := s.created(t)
		for range 20 {
			<-time.After(interval)
			require.Equal(t, sess.Revision, s.onDisk(t)[sess.Key()])
			require.NoError(t, s.revised(t.Context(), &sess))
			<-time.After(interval / 3)
			require.Equal(t, sess.Revision-1, s.onDisk(t)[sess.Key()], "it waits for others")
		}
	})
}

// Who waits for a disk that is stuck is refused in the end, whatever it
// is that they wait for.
func TestStuck(t *testing.T) {
	const interval = 300 * time.Millisecond
	inBubble(t, interval, func(t *testing.T, s *Store) {
		sess, other, locked := s.created(t), s.created(t), s.created(t)
		over := s.busy(time.Minute)
		began := s.queue.clock.now()
		places := s.locks.places(locked.Key())
		require.NoError(t, s.locks.lock(t.Context(), &s.committer.stuck, places))
		var running sync.WaitGroup
		running.Go(func() {
			<-time.After(interval)
			assert.ErrorIs(t, s.Delete(t.Context(), midnight, locked.Key(), 0), errStuck)
		})
		running.Go(func() {
			<-time.After(interval)
			assert.ErrorIs(t, s.Delete(t.Context(), midnight, other.Key(), 0), errStuck)
		})
		var err error
		for err == nil {
			<-time.After(time.Millisecond)
			err = s.revised(t.Context(), &sess)
		}
		require.ErrorIs(t, err, backend.ErrReadOnly)
		require.ErrorIs(t, err, errStuck)
		running.Wait()
		require.Less(t, s.queue.clock.now()-began, lazyTimes*DefaultCommitTimeout+time.Second)
		began = s.queue.clock.now()
		require.ErrorIs(t, s.revised(t.Context(), &sess), backend.ErrReadOnly)
		require.Equal(t, began, s.queue.clock.now(), "now it is known")
		s.locks.unlock(places)
		<-over
		synctest.Wait()
		require.NoError(t, s.revised(t.Context(), &sess))
		_, err = s.live(t.Context(), midnight, other.Key())
		require.NoError(t, err, "it was withdrawn")
	})
}

// Who leaves while they wait is told so: nothing is wrong with the disk.
func TestWritersThatLeave(t *testing.T) {
	const interval = 300 * time.Millisecond
	for name, wait := range map[string]struct {
		interval time.Duration
		prepare  func(t *testing.T, s *Store, sess *schema.Session)
	}{
		"for the key": {0, func(t *testing.T, s *Store, sess *schema.Session) {
			places := s.locks.places(sess.Key())
			require.NoError(t, s.locks.lock(t.Context(), &s.committer.stuck, places))
			time.AfterFunc(DefaultCommitTimeout/2, func() { s.locks.unlock(places) })
		}},
		"for the disk": {0, func(_ *testing.T, s *Store, _ *schema.Session) { s.busy(DefaultCommitTimeout / 2) }},
		"for the disk to keep up": {interval, func(t *testing.T, s *Store, sess *schema.Session) {
			require.NoError(t, s.revised(t.Context(), sess))
			<-time.After(interval / 3)
			s.busy(DefaultCommitTimeout - time.Millisecond)
			<-time.After(interval/2 + time.Millisecond)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, wait.interval, func(t *testing.T, s *Store) {
				sess := s.created(t)
				wait.prepare(t, s, &sess)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, cancel)
				began := s.queue.clock.now()
				err := s.revised(ctx, &sess)
				require.ErrorIs(t, err, backend.ErrReadOnly)
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, time.Millisecond, s.queue.clock.now()-began)
				<-time.After(DefaultCommitTimeout)
				require.NoError(t, s.revised(t.Context(), &sess))
			})
		})
	}
}

// crowd lets writers make one change after the other, for each of which they
// need the one processor that there is, and then a disk.
func (s *Store) crowd(t *testing.T, writers, changes int, processor, disk time.Duration) (transactions int, took time.Duration) {
	t.Helper()
	var last *writer                 // the committer's
	write := func(w *writer) error { //nolint:unparam // as operations have it
		if w != last {
			last = w
			transactions++
			<-time.After(disk)
		}
		return nil
	}
	from := s.queue.clock.now()
	turn := make(chan struct{}, 1)
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range changes {
				turn <- struct{}{}
				<-time.After(processor)
				<-turn
				op := &operation{write: write, apply: func() error { return nil }, done: make(chan error, 1)}
				s.queue.put(op)
				err := <-op.done
				assert.NoError(t, err)
			}
		})
	}
	running.Wait()
	return transactions, s.queue.clock.now() - from
}

func TestGathering(t *testing.T) {
	const processor, changes = 60 * time.Microsecond, 200
	for _, disk := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 40 * time.Millisecond} {
		t.Run("many writers share transactions of "+disk.String(), func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, s *Store) {
				const writers = 64
				transactions, _ := s.crowd(t, writers, changes, processor, disk)
				assert.Greater(t, float64(writers*changes)/float64(transactions), 44.0)
			})
		})
	}
	t.Run("one does not wait for others", func(t *testing.T) {
		inBubble(t, 0, func(t *testing.T, s *Store) {
			const disk = time.Millisecond
			transactions, took := s.crowd(t, 1, changes, processor, disk)
			assert.Equal(t, changes, transactions)
			assert.Equal(t, changes*(processor+disk), took)
		})
	})
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := within(time.Second)
		<-time.After(time.Second)
		assert.True(t, soon(), "once in any case")
		assert.False(t, soon())
		soon = within(time.Second)
		assert.True(t, soon())
		<-time.After(time.Second - 1)
		assert.True(t, soon())
		<-time.After(1)
		assert.False(t, soon())
	})
}
