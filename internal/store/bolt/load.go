package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store/bolt/datafile"
	"session-api/internal/store/memory"
)

// loader fills memory with what a file holds.
type loader struct {
	s    *Store
	file *os.File
	held *content
	now  time.Time
	// endAttempts is Options.EndAttempts.
	endAttempts bool
}

// load opens the data file for writing as well: bbolt looks through all of it,
// too, and that may take as long.
func (l *loader) load(limits *memory.Options, log *slog.Logger) error {
	c := &l.s.committer
	var opened error
	var opening sync.WaitGroup
	opening.Go(func() { c.data, opened = openData(c.path, c.info) })
	err := l.fillMemory(limits, log)
	opening.Wait()
	if err = errors.Join(opened, err); err != nil {
		c.drop()
	}
	return err
}

func (l *loader) fillMemory(limits *memory.Options, log *slog.Logger) error {
	if err := l.fill(); err != nil {
		return err
	}
	for old, to := range l.held.graces {
		l.s.Store.RestoreGrace(old, to.to, time.UnixMilli(to.until))
		l.s.graces.set(old, to)
	}
	if err := l.tombstones(); err != nil {
		return err
	}
	if err := l.requests(); err != nil {
		return err
	}
	return l.sayOver(limits, log)
}

// sayOver says that memory holds more than the limits allow, and what that means.
func (l *loader) sayOver(limits *memory.Options, log *slog.Logger) error {
	st, err := l.s.Store.Stats(context.Background(), l.now)
	if err != nil || !st.OverLimit {
		return err
	}
	then := "each new session ends two others"
	if limits.Policy == memory.None {
		then = "no new session is taken until enough of them have ended"
	}
	log.Warn("the data file holds more sessions than the limits allow, and none is dropped", "then", then,
		"sessions", st.Entries, "maxEntries", limits.MaxEntries, "bytes", st.Bytes, "maxMemoryBytes", limits.MaxBytes)
	return nil
}

// orderByUse sets the used of each place to its place in the order of byUse.
func orderByUse(live []place) {
	// The places themselves stay where they are: a sort would move each many times.
	order := make([]int32, len(live))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return byUse(&live[a], &live[b]) })
	for n, i := range order {
		live[i].used = int64(n) + 1
	}
}

// byUse is the order in which the file was closed, and then that of what was
// written later.
func byUse(a, b *place) int {
	if a.rank > 0 && b.rank > 0 {
		return cmp.Compare(a.rank, b.rank)
	}
	if a.rank > 0 || b.rank > 0 {
		return cmp.Compare(b.rank, a.rank)
	}
	return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.number, b.number))
}

// run is how many sessions a goroutine handles at a time, so that all go about
// in their order.
const run = 256

// eachRun calls do with all runs, on many goroutines, each with a buffer of its
// own.
func (l *loader) eachRun(do func(buf *datafile.Buffer, places []place) error) error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	var taken atomic.Int64
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			buf := l.buffer()
			for errs[i] == nil {
				from := int(taken.Add(run)) - run
				if from >= len(l.held.live) {
					return
				}
				errs[i] = do(buf, l.held.live[from:min(from+run, len(l.held.live))])
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func (l *loader) buffer() *datafile.Buffer {
	return datafile.NewBuffer(l.file, int64(l.held.pages)*l.held.pageSize) //nolint:gosec // within the file
}

// fill puts all sessions into memory at once, also where the limits are lower
// than they were: a start ends nobody's session.
func (l *loader) fill() error {
	live := l.held.live
	orderByUse(live)
	// In the order of the file they are read fastest, and as a rule they are in that.
	inFile := func(a, b place) int { return cmp.Compare(a.off, b.off) }
	if !slices.IsSortedFunc(live, inFile) {
		slices.SortFunc(live, inFile)
	}
	filling := l.s.Store.Fill(len(live))
	err := l.eachRun(func(buf *datafile.Buffer, places []place) error {
		sessions := make([]memory.Restored, len(places))
		for i := range places {
			sess, err := places[i].session(buf)
			if err != nil {
				return err
			}
			sessions[i] = memory.Restored{Session: sess, Use: places[i].used, Served: places[i].served, Again: places[i].again}
		}
		return filling.Add(sessions)
	})
	filling.Done()
	return err
}

func (l *loader) tombstones() error {
	buf := l.buffer()
	restore := func(p *place, read func(e entry) (tombstone, error)) error {
		e, err := p.read(buf)
		if err != nil {
			return err
		}
		t, err := read(e)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		l.s.committer.tombstones.set(e.key, t)
		if l.s.tombstoneTTL == 0 { // memory has none then
			return nil
		}
		if until := time.UnixMilli(t.until()); t < 0 {
			l.s.Store.RestoreLapsed(e.key, until)
		} else {
			l.s.Store.RestoreTombstone(e.key, until)
		}
		return nil
	}
	for i := range l.held.ended {
		if err := restore(&l.held.ended[i], entry.tombstone); err != nil {
			return err
		}
	}
	for i := range l.held.lapsed { // while nobody was there
		p := &l.held.lapsed[i]
		t := lapsed(p.expires, l.s.tombstoneTTL)
		if t.until() <= l.now.UnixMilli() {
			continue
		}
		if err := restore(p, func(entry) (tombstone, error) { return t, nil }); err != nil {
			return err
		}
	}
	return nil
}
