package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// lingering are entries that were replaced, whose members in the index by file
// stay for a while: as long as someone may be looking, at one part of the index
// after another, for any of the names that a file has.
type lingering struct {
	mu          sync.Mutex
	young, aged []entry
	waiting     bool // somebody will remove them
}

// maxLingering is how many entries stay at once.
const maxLingering = 10_000

// lingerTime is longer than a look takes. An entry stays for one to two of it.
func (s *Store) lingerTime() time.Duration { return 3 * s.opts.Timeout }

// linger removes the files of an entry later on, and reports whether it will. If
// the process ends before, whoever comes across the entry does.
func (s *Store) linger(client rueidis.Client, e entry) bool {
	l := &s.late
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.young)+len(l.aged) >= maxLingering || s.closed.Err() != nil {
		return false
	}
	l.young = append(l.young, e)
	if !l.waiting {
		l.waiting = true
		s.background.Go(func() { s.removeLate(client) })
	}
	return true
}

// removeLate removes what lingers when its time has come, until nothing does or
// the store is closed.
func (s *Store) removeLate(client rueidis.Client) {
	tick := time.NewTicker(s.lingerTime())
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-s.closed.Done():
			return
		case <-tick.C:
		}
		var due []entry
		due, more = s.late.age()
		for batch := range slices.Chunk(due, maxBatch) {
			s.forgetFiles(client, batch)
		}
	}
}

// age takes the entries that have stayed for long enough, and reports whether there
// are others.
func (l *lingering) age() (due []entry, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due, l.aged, l.young = l.aged, l.young, nil
	l.waiting = len(l.aged) > 0
	return due, l.waiting
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
