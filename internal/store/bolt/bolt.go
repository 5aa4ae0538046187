package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"session-api/internal/store"
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
	// store.ErrReadOnly. Any number of processes may read a directory like that, as
	// long as none writes it.
	ReadOnly bool
	// Memory are the settings of the store in memory. OnEvent works there as
	// ever.
	Memory memory.Options
	// Interval is how long a change may wait for the disk after its writer has
	// been told that it is made, and so what a crash can take away; what ends a
	// session never waits. 0: no change waits.
	Interval time.Duration
	// Logger is told what an operator should know; nil for nobody.
	Logger *slog.Logger
}

// Store is a store.Store. What it does not change is the store in memory's.
type Store struct {
	*memory.Store

	dir       *directory
	unlock    func() // where it is only read
	queue     queue
	locks     keyLocks
	graces    graces
	committer committer

	// lazy: changes wait for the interval.
	lazy      bool
	tombstone time.Duration
	// refuses: no session may be evicted.
	refuses bool
	// readOnly: there is nobody who would write.
	readOnly bool
	// held are sessions that a jump of the clock may have ended.
	held hold
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, and loads what has not expired at now.
// Returns ErrInUse, ErrDamaged and ErrNoData.
func Open(now time.Time, o Options) (*Store, error) {
	s := &Store{lazy: o.Interval > 0, tombstone: o.Memory.Tombstone, readOnly: o.ReadOnly}
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
	o.Memory.OnEvent = func(ev store.Event) {
		switch {
		case s.readOnly:
		case ev.Type == store.EventExpired, ev.Type == store.EventEvicted:
			s.queue.mark(ev.Session)
		case ev.Type == store.EventCreated:
			s.held.forget(ev.Session)
		}
		if heed != nil {
			heed(ev)
		}
	}
	s.Store = memory.New(o.Memory)
	s.committer = committer{
		queue: &s.queue, mem: &overlay{s.Store, &s.held}, graces: &s.graces, locks: &s.locks, log: o.Logger,
		delay: markDelay, waits: s.lazy, tombstone: s.tombstone, stopped: make(chan struct{}),
	}
	s.committer.failed.init()
	s.committer.stuck.init()
	if s.lazy { // the rest of the interval is for the disk, and for clocks that are late
		s.committer.delay, s.committer.holdBack = 2*o.Interval/5, 4*o.Interval/5
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
	c.path = s.dir.data()
	c.now.Store(now.UnixMilli())
	file, err := os.Open(c.path)
	if err != nil {
		return fmt.Errorf("opening the data file: %w", err)
	}
	defer func() { _ = file.Close() }()
	readAhead(file)
	held, err := readContent(file, now)
	if err != nil {
		return err
	}
	if held.worthCompacting() {
		if file, held, err = s.compact(file, held, now, o); err != nil {
			return err
		}
	}
	if c.info, err = file.Stat(); err != nil {
		return fmt.Errorf("opening the data file: %w", err)
	}
	older := held.version < fileVersion
	if older {
		s.dir.upgrade(file, o.Logger)
	}
	back := holdBack(held)
	c.index, c.logBytes, c.over = held.index, held.logBytes, held.over
	for _, e := range held.ended {
		c.buried += int64(e.size) + entryBytes
	}
	l := &loader{s, file, held, now}
	if err := l.load(&o.Memory, o.Logger); err != nil {
		return err
	}
	err = l.keep(back)
	if err == nil && older {
		err = stampVersion(c.db)
	}
	if err != nil {
		return errors.Join(err, c.db.Close())
	}
	l.sayLoaded(o.Logger, c.info, isNew, len(back), began.now())
	return nil
}

// compact writes the file anew, if there is room for that.
func (s *Store) compact(file *os.File, held *content, now time.Time, o *Options) (*os.File, *content, error) {
	free := held.pages - held.used
	if err := s.dir.compact(); err != nil {
		o.Logger.Warn("the data file is mostly free, and could not be written anew",
			"freeBytes", free*uint64(held.pageSize), "error", err) //nolint:gosec // positive
		return file, held, nil
	}
	fresh, err := os.Open(s.dir.data())
	if err != nil {
		return file, nil, fmt.Errorf("opening the data file: %w", err)
	}
	_ = file.Close() // it was only read
	held, err = readContent(fresh, now)
	return fresh, held, err
}

// Name is "bolt".
func (s *Store) Name() string { return "bolt" }

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	s.LookAtClock(now)
	n, err := s.Store.Sweep(ctx, now)
	if over := s.graces.sweep(now.UnixMilli()); len(over) > 0 {
		s.queue.markLed(over)
	}
	s.committer.now.Store(now.UnixMilli())
	return n, err
}

// closePatience is how long Close waits for the disk to take a transaction.
const closePatience = 5 * time.Second

// Close writes what is left to write, as long as the disk gets on with it, and
// closes the file.
func (s *Store) Close() error {
	if s.readOnly {
		s.unlock()
		return nil
	}
	s.queue.close()
	for stopped := false; !stopped; {
		commits := s.committer.commits.Load()
		over := time.NewTimer(closePatience)
		select {
		case <-s.committer.stopped:
			stopped = true
		case <-over.C:
			if s.committer.commits.Load() == commits {
				return fmt.Errorf("%w: the disk does not answer", store.ErrUnavailable)
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
