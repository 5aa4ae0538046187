package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// lingering are entries that were replaced, whose members in the index by file
// stay for a while: as long as someone may be looking, at one part of the index after another, for any of the
// names that a file has.
type lingering struct {
	mu      sync.Mutex
	entries []late
	waiting bool // somebody will remove them
}

// late is an entry that is to be removed.
type late struct {
	entry
	at time.Time
}

// maxLingering is how many entries stay at once.
const maxLingering = 10_000

// lingerTime is longer than a look takes.
func (s *Store) lingerTime() time.Duration { return 3 * s.opts.Timeout }

// linger removes the files of an entry later on, and reports whether it will. If the process
// ends before, whoever comes across the entry does.
func (s *Store) linger(client rueidis.Client, e entry) bool {
	l := &s.late
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= maxLingering {
		return false
	}
	l.entries = append(l.entries, late{entry: e, at: time.Now().Add(s.lingerTime())})
	if !l.waiting && s.closed.Err() == nil {
		l.waiting = true
		s.background.Go(func() { s.removeLate(client) })
	}
	return true
}

// removeLate removes what lingers when its time has come, until nothing does or
// the store is closed.
func (s *Store) removeLate(client rueidis.Client) {
	timer := time.NewTimer(s.lingerTime())
	defer timer.Stop()
	for {
		select {
		case <-s.closed.Done():
			return
		case <-timer.C:
		}
		due, next := s.late.take(time.Now())
		for batch := range slices.Chunk(due, maxBatch) {
			s.forgetFiles(client, batch)
		}
		if next < 0 {
			return
		}
		timer.Reset(next)
	}
}

// forgetReplaced is forget for an entry in whose place the session has another by
// now.
func (s *Store) forgetReplaced(ctx context.Context, client rueidis.Client, e entry) {
	if !s.opts.Cluster || len(e.files) == 0 || !s.linger(client, e) {
		s.forget(ctx, client, e)
		return
	}
	ctx, cancel := s.afterwards(ctx)
	defer cancel()
	s.send(ctx, client, s.removalsButFiles(client, &e)...)
}

// forgetFiles removes entries from the index by file. What fails is left to those
// who come across it.
func (s *Store) forgetFiles(client rueidis.Client, entries []entry) {
	ctx, cancel := s.limited(s.closed)
	defer cancel()
	members := stale{}
	for i := range entries {
		for shard, those := range entries[i].fileMembers() {
			members[s.files(shard)] = append(members[s.files(shard)], those...)
		}
	}
	s.send(ctx, client, healings(client, members)...)
}

// take takes the entries whose time has come, and returns how long it is to the
// next; a negative time if there is none.
func (l *lingering) take(now time.Time) (due []entry, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.entries) > 0 && !l.entries[0].at.After(now) {
		due, l.entries = append(due, l.entries[0].entry), l.entries[1:]
	}
	if len(l.entries) == 0 {
		l.entries, l.waiting = nil, false
		return due, -1
	}
	return due, max(l.entries[0].at.Sub(now), time.Millisecond)
}
