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

func (l *loader) load(limits *memory.Options, log *slog.Logger) error {
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
	ordered := limits.Policy == memory.LRU && (limits.MaxEntries > 0 || limits.MaxBytes > 0)
	byUse := func(a, b int) int {
		return cmp.Or(cmp.Compare(live[a].used, live[b].used), cmp.Compare(live[a].number, live[b].number))
	}
	switch {
	case limits.Policy == memory.None:
		// What does not fit is refused: the youngest.
		slices.SortFunc(live, func(a, b place) int { return cmp.Compare(a.created, b.created) })
		return l.restore(nil)
	case l.fits(limits):
		// In the order of lists it goes fastest.
		slices.SortFunc(live, func(a, b place) int { return cmp.Compare(b.created, a.created) })
		if !ordered {
			return l.restore(nil)
		}
		keys := make([]store.Key, len(live))
		if err := l.restore(keys); err != nil {
			return err
		}
		l.use(keys, byUse)
		return nil
	}
	// What was used longest ago gives way to the others.
	slices.SortFunc(live, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.number, b.number))
	})
	return l.restore(nil)
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

// eachRun calls do with the bounds of all runs, on many goroutines.
func eachRun(n int, do func(from, to int) error) error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	var taken atomic.Int64
	var running sync.WaitGroup
	for w := range errs {
		running.Go(func() {
			for errs[w] == nil {
				from := int(taken.Add(run)) - run
				if from >= n {
					return
				}
				errs[w] = do(from, min(from+run, n))
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// restore puts the sessions into memory, and their keys into keys, unless that
// is nil.
func (l *loader) restore(keys []store.Key) error {
	live := l.held.live
	var full atomic.Int64
	err := eachRun(len(live), func(from, to int) error {
		var buf []byte
		for i := from; i < to; i++ {
			sess, err := live[i].session(l.file, &buf)
			if err != nil {
				return err
			}
			sess.Doc = append(make([]byte, 0, len(sess.Doc)), sess.Doc...)
			if keys != nil {
				keys[i] = sess.Key()
			}
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
		return fmt.Errorf("%d of its %d sessions do not fit: raise the limits, or let sessions be evicted", n, len(live))
	}
	return err
}

// use makes the sessions used in the order of their uses.
func (l *loader) use(keys []store.Key, byUse func(a, b int) int) {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, byUse)
	_ = eachRun(len(order), func(from, to int) error {
		for _, i := range order[from:to] {
			// It moves no deadline, so that is all it does.
			_, _ = l.s.Store.Touch(context.Background(), l.now, keys[i], time.UnixMilli(0))
		}
		return nil
	})
}

func (l *loader) tombstones() error {
	if l.s.tombstone == 0 {
		return nil
	}
	var buf []byte
	for _, p := range l.held.ended {
		e, err := p.read(l.file, &buf)
		if err != nil {
			return err
		}
		l.s.Store.RestoreTombstone(e.key, time.UnixMilli(p.expires))
	}
	return nil
}
