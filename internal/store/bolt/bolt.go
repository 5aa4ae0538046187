package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// Options are the settings of a store.
type Options struct {
	// Dir is where the data file is. It is made where there is none, but not its
	// parents.
	Dir string
	// Existing: where there is no data file, none is made, and Open returns ErrNoData.
	Existing bool
	// ReadOnly: the file is read, and nothing is written, made or changed in the
	// directory, which may be on a volume that takes no writes. Changes get
	// backend.ErrReadOnly. Any number of processes may read a directory like that, as
	// long as none writes it.
	ReadOnly bool
	// Memory are the settings of the store in memory. OnEvent works there as
	// ever.
	Memory memory.Options
	// Interval is how long a change may wait for the disk after its writer has
	// been told that it is made, and so what a crash can take away; what ends a
	// session never waits. 0: no change waits.
	Interval time.Duration
	// CommitTimeout is how long the disk may take for a transaction until writers stop
	// waiting for it, where it does not usually take long; DefaultCommitTimeout for 0.
	// With an Interval it is ten times that.
	CommitTimeout time.Duration
	// EndAttempts: the attempts at requests with an Idempotency-Key that the file says are in
	// progress are not, since the process is gone that made them.
	EndAttempts bool
	// UnreadyAfter is how long the file may be impossible to write until Ping says
	// so; 0 for ever.
	UnreadyAfter time.Duration
	// Logger is told what an operator should know; nil for nobody.
	Logger *slog.Logger

	// maxReserve is how large the reserve is at most; for 0, as large as maxReserve says.
	maxReserve int64
}

// Store is a backend.Store. What it does not change is the store in memory's.
type Store struct {
	*memory.Store

	dir       *directory
	unlock    func() // where it is only read
	queue     queue
	locks     keyLocks
	graces    graces
	committer committer

	// lazy: changes wait for the interval.
	lazy         bool
	tombstoneTTL time.Duration
	// refuses: no session may be evicted.
	refuses      bool
	unreadyAfter time.Duration
	// readOnly: there is nobody who would write.
	readOnly bool
	states   sync.Mutex // of changes of states
	// held are sessions that a jump of the clock may have ended.
	held hold
}

var (
	_ backend.Store = (*Store)(nil)
	_ backend.Filed = (*Store)(nil)
)

// Open opens the store in a directory, and loads what has not expired at now.
// Returns ErrInUse, ErrDamaged and ErrNoData.
func Open(now time.Time, o Options) (*Store, error) {
	s := &Store{lazy: o.Interval > 0, tombstoneTTL: o.Memory.Tombstone, unreadyAfter: o.UnreadyAfter, readOnly: o.ReadOnly}
	if o.Memory.Policy == "" {
		o.Memory.Policy = memory.LRU
	}
	s.refuses = o.Memory.Policy == memory.None
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s.queue.init()
	s.locks.init()
	s.graces.init()
	heed := o.Memory.OnEvent
	o.Memory.OnEvent = func(ev backend.Event) {
		switch {
		case s.readOnly:
		case ev.Type == backend.EventExpired, ev.Type == backend.EventEvicted:
			s.queue.mark(ev.Session)
		case ev.Type == backend.EventCreated:
			s.held.forget(ev.Session)
		}
		if heed != nil {
			heed(ev)
		}
	}
	o.Memory.OnForget = func(key backend.RequestKey) {
		if !s.readOnly {
			s.queue.mark(requestID(key))
		}
	}
	s.Store = memory.New(o.Memory)
	s.committer = committer{
		queue: &s.queue, mem: &overlay{s.Store, &s.held}, graces: &s.graces, locks: &s.locks, log: o.Logger,
		delay: dirtyDelay, waits: s.lazy, tombstoneTTL: s.tombstoneTTL, stopped: make(chan struct{}),
		tombstones: newTombstones(o.Memory.MaxEntries), id: newOwnerID(), least: cmp.Or(o.CommitTimeout, DefaultCommitTimeout),
		maxReserve: cmp.Or(o.maxReserve, maxReserve),
	}
	for _, signal := range []*signal{&s.committer.failed, &s.committer.stuck, &s.committer.full} {
		signal.init()
	}
	s.committer.health.init()
	if s.lazy { // the rest of the interval is for the disk, and for clocks that are late
		s.committer.delay, s.committer.maxUnwritten = 2*o.Interval/5, 4*o.Interval/5
		s.committer.least *= lazyTimes
	}
	open := s.open
	if o.ReadOnly {
		open = s.openToRead
	}
	if err := open(now, &o); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	if !o.ReadOnly {
		go s.committer.run()
	}
	return s, nil
}

func (s *Store) open(now time.Time, o *Options) (err error) {
	began := startClock()
	isNew, err := prepareDirectory(o.Dir, o.Existing)
	if err != nil {
		return err
	}
	if s.dir, err = openDirectory(o.Dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.dir.close())
		}
	}()
	if err := s.dir.create(); err != nil {
		return err
	}
	made := []string{lockName}
	if isNew {
		made = append(made, dataName)
	}
	if err := giveOver(o.Dir, made...); err != nil {
		return err
	}
	c := &s.committer
	c.path, c.dir = s.dir.data(), s.dir
	c.now.Store(now.UnixMilli())
	c.askVolume()
	if c.volume.kind != "" {
		o.Logger.Warn("the file system of the data directory may not keep a second process on another machine, or by another mount, from using it too: see that there is none",
			"fileSystem", c.volume.kind, "path", o.Dir)
	}
	file, err := openForReading(c.path)
	if err != nil {
		return fmt.Errorf("opening the data file: %w", err)
	}
	defer func() { _ = file.Close() }()
	readAhead(file)
	held, err := readContent(file, now)
	if err != nil {
		return err
	}
	if c.info, err = file.Stat(); err != nil {
		return fmt.Errorf("opening the data file: %w", err)
	}
	if held.version < fileVersion {
		s.dir.upgrade(file, o.Logger)
	}
	back := holdBack(held)
	c.index, c.logBytes, c.retract, c.lastNumber = held.index, held.logBytes, held.retract, held.last
	c.owners, c.reserved, c.seen.txid, c.journal = held.owners, held.reserve, held.txid, held.journal
	l := &loader{s, file, held, now, o.EndAttempts}
	if err := l.load(&o.Memory, o.Logger); err != nil {
		return err
	}
	if err := l.keep(back); err != nil {
		c.data.close()
		return err
	}
	l.sayLoaded(o.Logger, c.info, isNew, len(back), began.now())
	c.calibrate(held.countingBytes(), 0)
	if held.logBytes > growth {
		c.fill = max(1, float64(int64(held.used)*held.pageSize-c.fixed())/float64(held.logBytes)) //nolint:gosec // within the file
	}
	return c.takeOver()
}

// Name is "bolt".
func (s *Store) Name() string { return "bolt" }

// Sweep implements backend.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	s.LookAtClock(now)
	n, err := s.Store.Sweep(ctx, now)
	if over := s.graces.sweep(now.UnixMilli()); len(over) > 0 {
		s.queue.markLed(over)
	}
	s.committer.now.Store(now.UnixMilli())
	return n, err
}

// Ping implements backend.Store: see Options.UnreadyAfter. One that is only read is
// ready for that.
func (s *Store) Ping(context.Context) error {
	if s.readOnly {
		return nil
	}
	return s.committer.unready(s.unreadyAfter)
}

// File implements backend.Filed.
func (s *Store) File() backend.FileStats { return s.committer.file() }

// closeTimeout is how long Close waits for the committer to make progress.
const closeTimeout = 5 * time.Second

// Close writes what is left to write, as long as the disk gets on with it, and
// closes the file.
func (s *Store) Close() error {
	if s.readOnly {
		s.unlock()
		return nil
	}
	s.queue.close()
	for stopped := false; !stopped; {
		progress := s.committer.progress.Load()
		over := time.NewTimer(closeTimeout)
		select {
		case <-s.committer.stopped:
			stopped = true
		case <-over.C:
			if s.committer.progress.Load() == progress {
				return fmt.Errorf("%w: the disk does not answer", backend.ErrUnavailable)
			}
		}
		over.Stop()
	}
	err := s.committer.err
	if err == nil { // this version has written all, and can read it
		err = s.dir.dropBefore()
	}
	return errors.Join(err, s.dir.close())
}
