package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"session-api/internal/audit"
	"session-api/internal/store/backend"
)

const (
	// auditWindow is for how long acts of a kind that anybody can cause are counted.
	auditWindow = time.Minute
	// refusalsPerWindow is how many refused service tokens have entries of their own in
	// it, and lapsesPerWindow how many sessions of visitors that are over.
	refusalsPerWindow = 20
	lapsesPerWindow   = 1000
	// followAgain is how long a store that has failed is left alone.
	followAgain = time.Second
)

// entryLimiter bounds the entries of acts that anybody can cause, so that a flood of
// them does not fill the disk: what is beyond the limit is counted.
type entryLimiter struct {
	most int

	mu      sync.Mutex
	begun   time.Time // of the window
	allowed int
	counts  map[string]int // of those that were not allowed, by what they are of
}

func newEntryLimiter(most int) *entryLimiter {
	return &entryLimiter{most: most, counts: make(map[string]int)}
}

// allow reports whether an act has an entry of its own. What it is of is one of few words.
func (l *entryLimiter) allow(of string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Where there are counts, the window is over once take has them.
	if l.isOver(now) && len(l.counts) == 0 {
		l.begun, l.allowed = now, 0
	}
	if l.allowed < l.most {
		l.allowed++
		return true
	}
	l.counts[of]++
	return false
}

// isOver reports whether the window is over, or the clock was set back.
func (l *entryLimiter) isOver(now time.Time) bool {
	since := now.Sub(l.begun)
	return since >= auditWindow || since < 0
}

// sum is how many acts had no entry.
type sum struct {
	of    string
	n     int
	since time.Time
}

// take returns the counts of a window that is over, or of any if all is set.
func (l *entryLimiter) take(now time.Time, all bool) (sums []sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !all && !l.isOver(now) {
		return nil
	}
	for of, n := range l.counts {
		sums = append(sums, sum{of, n, l.begun})
	}
	clear(l.counts)
	slices.SortFunc(sums, func(a, b sum) int { return strings.Compare(a.of, b.of) })
	return sums
}

// AuditLoop records what no request does: that sessions have expired or were evicted, and
// how many acts had no entry of their own. It ends with ctx, and at once where nothing is
// recorded.
func (s *Server) AuditLoop(ctx context.Context) {
	if s.Audit == nil {
		return
	}
	var following sync.WaitGroup
	following.Go(func() { s.followForAudit(ctx) })
	tick := time.NewTicker(auditWindow / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.RecordAuditSummaries(false)
		case <-ctx.Done():
			following.Wait()
			s.RecordAuditSummaries(true)
			return
		}
	}
}

// followForAudit records the events of sessions that are over until ctx ends.
func (s *Server) followForAudit(ctx context.Context) {
	last := ""
	for ctx.Err() == nil {
		err := s.Sessions.Follow(ctx, last, func(ev backend.Event) error {
			last = ev.ID
			s.recordOver(&ev)
			return nil
		})
		if errors.Is(err, backend.ErrEventsLost) && last != "" {
			last = ""
			_ = s.recordEntry(audit.Entry{ // there is nobody to tell
				Time: s.Now(), Actor: audit.System, Act: audit.EventsLost, Outcome: audit.Failed,
			})
			continue
		}
		select {
		case <-time.After(followAgain):
		case <-ctx.Done():
		}
	}
}
