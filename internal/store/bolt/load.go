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

	"session-api/internal/store"
	"session-api/internal/store/memory"
)

// loader fills memory with what a file holds.
type loader struct {
	s    *Store
	file *os.File
	held *content
	now  time.Time
}

// load opens the data file for writing as well: bbolt looks through all of it,
// too, and that may take as long.
func (l *loader) load(limits *memory.Options, log *slog.Logger) error {
	c := &l.s.committer
	var opened error
	var opening sync.WaitGroup
	opening.Go(func() { c.db, opened = openData(c.path, c.info) })
	err := l.fillMemory(limits, log)
	opening.Wait()
	if err = errors.Join(opened, err); err != nil && c.db != nil {
		err = errors.Join(err, c.db.Close())
	}
	return err
}

func (l *loader) fillMemory(limits *memory.Options, log *slog.Logger) error {
	if err := l.sessions(limits); err != nil {
		return err
	}
	for old, to := range l.held.graces {
		l.s.Store.RestoreGrace(old, to.to, time.UnixMilli(to.until))
		l.s.graces.set(old, to)
	}
	if err := l.tombstones(); err != nil {
		return err
	}
	st, err := l.s.Store.Stats(context.Background(), l.now)
	if err != nil {
		return err
	}
	if dropped := int64(len(l.held.live)) - st.Entries; dropped > 0 {
		log.Warn("the limits are lower than what the data file held: sessions were dropped", "dropped", dropped, "kept", st.Entries)
	}
	return nil
}

// sessions restores the sessions in an order that suits the limits.
func (l *loader) sessions(limits *memory.Options) error {
	live := l.held.live
	switch {
	case l.fits(limits):
		return l.fill()
	case limits.Policy == memory.None:
		// What does not fit is refused: the youngest.
		slices.SortFunc(live, func(a, b place) int { return cmp.Compare(a.created, b.created) })
	default:
		// What was used longest ago gives way to the others.
		slices.SortFunc(live, byUse)
	}
	return l.restore()
}

// byUse is the order in which the file was closed, and then that of what was
// written later.
func byUse(a, b place) int {
	if a.rank > 0 && b.rank > 0 {
		return cmp.Compare(a.rank, b.rank)
	}
	if a.rank > 0 || b.rank > 0 {
		return cmp.Compare(b.rank, a.rank)
	}
	return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.number, b.number))
}

// sessionBytes is more than what memory counts for a session beside its entry.
const sessionBytes = 512

// fits reports whether there is room for all sessions.
func (l *loader) fits(limits *memory.Options) bool {
	n := int64(len(l.held.live))
	return (limits.MaxEntries == 0 || n <= int64(limits.MaxEntries)) &&
		(limits.MaxBytes == 0 || l.held.logBytes+n*sessionBytes <= limits.MaxBytes)
}

// run is how many sessions a goroutine handles at a time, so that all go about
// in their order.
const run = 256

// eachRun calls do with all runs, on many goroutines, each with a window of its
// own.
func (l *loader) eachRun(do func(w *window, places []place) error) error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	var taken atomic.Int64
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			w := l.window()
			for errs[i] == nil {
				from := int(taken.Add(run)) - run
				if from >= len(l.held.live) {
					return
				}
				errs[i] = do(w, l.held.live[from:min(from+run, len(l.held.live))])
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func (l *loader) window() *window {
	return &window{file: l.file, size: int64(l.held.pages) * l.held.pageSize} //nolint:gosec // within the file
}

// fill puts all sessions into memory at once.
func (l *loader) fill() error {
	live := l.held.live
	slices.SortFunc(live, byUse)
	for i := range live {
		live[i].used = int64(i) + 1
	}
	// In the order of the file they are read fastest.
	slices.SortFunc(live, func(a, b place) int { return cmp.Compare(a.off, b.off) })
	filling := l.s.Store.Fill(len(live))
	err := l.eachRun(func(w *window, places []place) error {
		sessions := make([]memory.Restored, len(places))
		for i := range places {
			sess, err := places[i].session(w)
			if err != nil {
				return err
			}
			sessions[i] = memory.Restored{Session: sess, Use: places[i].used, Again: places[i].again}
		}
		return filling.Add(sessions)
	})
	filling.Done()
	return err
}

// restore puts the sessions into memory, as many as fit.
func (l *loader) restore() error {
	var full atomic.Int64
	err := l.eachRun(func(w *window, places []place) error {
		for i := range places {
			sess, err := places[i].session(w)
			if err != nil {
				return err
			}
			sess.Trusted = places[i].again // no newcomer
			switch err := l.s.Store.Restore(l.now, sess); {
			case errors.Is(err, store.ErrFull):
				full.Add(1)
				l.s.queue.mark(sess.Key())
			case err != nil:
				return err
			}
		}
		return nil
	})
	// A create that was under way when the process ended may be one too many,
	// with as many others as there were at once.
	if n := full.Load(); n > batchOps {
		return fmt.Errorf("%d of its %d sessions do not fit: raise the limits, or let sessions be evicted", n, len(l.held.live))
	}
	return err
}

func (l *loader) tombstones() error {
	if l.s.tombstone == 0 {
		return nil
	}
	w := l.window()
	restore := func(p *place, read func(e entry) (tomb, error)) error {
		e, err := p.read(w)
		if err != nil {
			return err
		}
		t, err := read(e)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if until := time.UnixMilli(t.until()); t < 0 {
			l.s.Store.RestoreLapsed(e.key, until)
		} else {
			l.s.Store.RestoreTombstone(e.key, until)
		}
		return nil
	}
	for i := range l.held.ended {
		if err := restore(&l.held.ended[i], entry.tomb); err != nil {
			return err
		}
	}
	for i := range l.held.lapsed { // while nobody was there
		p := &l.held.lapsed[i]
		t := lapsed(p.expires, l.s.tombstone)
		if t.until() <= l.now.UnixMilli() {
			continue
		}
		if err := restore(p, func(entry) (tomb, error) { return t, nil }); err != nil {
			return err
		}
	}
	return nil
}
