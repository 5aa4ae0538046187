package redis

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// lingering are entries that were replaced, whose members in the index by file
// stay for a while: as long as someone may be looking, at one part of the index
// after another, for any of the names that a file has. Of those of a session that
// name the same files, the latest does for all.
type lingering struct {
	mu          sync.Mutex
	young, aged map[lingerer]format.Entry
	waiting     bool // somebody will remove them
}

// lingerer is a session with a hash of the files that an entry of it is about.
type lingerer struct {
	key   backend.Key
	files uint64
}

var lingerSeed = maphash.MakeSeed()

func lingererOf(e *format.Entry) lingerer {
	var h maphash.Hash
	h.SetSeed(lingerSeed)
	for _, path := range e.Files {
		if e.Includes(path) {
			_, _ = h.WriteString(path) // it never fails
			_ = h.WriteByte(0)
		}
	}
	return lingerer{e.Key, h.Sum64()}
}

// maxLingering is how many entries stay at once. One that would be one more is
// removed at once: a look that began before may then miss its file. Only changes
// of very many sessions, or of very many sets of files, come to that.
const maxLingering = 10_000

// lingerTime is longer than a look takes. An entry stays for one to two of it.
func (s *Store) lingerTime() time.Duration { return 3 * s.opts.Timeout }

// linger removes the files of an entry later on, and reports whether it will. It
// returns earlier entries that need not stay any longer now. If the process ends
// before, whoever comes across the entry removes it.
func (s *Store) linger(client rueidis.Client, e format.Entry) (earlier []format.Entry, ok bool) {
	l := &s.late
	l.mu.Lock()
	defer l.mu.Unlock()
	id := lingererOf(&e)
	for _, those := range []map[lingerer]format.Entry{l.aged, l.young} {
		if other, found := those[id]; found {
			delete(those, id)
			earlier = append(earlier, other)
		}
	}
	if len(l.young)+len(l.aged) >= maxLingering || s.closed.Err() != nil {
		return earlier, false
	}
	if l.young == nil {
		l.young = map[lingerer]format.Entry{}
	}
	l.young[id] = e
	if !l.waiting {
		l.waiting = true
		s.background.Go(func() { s.removeLate(client) })
	}
	return earlier, true
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
		var due []format.Entry
		due, more = s.late.age()
		for batch := range slices.Chunk(due, maxBatch) {
			s.forgetFiles(client, batch)
		}
	}
}

// age takes the entries that have stayed for long enough, and reports whether there
// are others.
func (l *lingering) age() (due []format.Entry, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due = slices.Collect(maps.Values(l.aged))
	l.aged, l.young = l.young, nil
	l.waiting = len(l.aged) > 0
	return due, l.waiting
}

// forgetReplaced is forget for an entry in whose place the session has another by
// now.
func (s *Store) forgetReplaced(ctx context.Context, client rueidis.Client, e format.Entry) {
	if !s.opts.Cluster || !slices.ContainsFunc(e.Files, e.Includes) {
		s.forget(ctx, client, e)
		return
	}
	earlier, stays := s.linger(client, e)
	if !stays {
		earlier = append(earlier, e)
	}
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	s.conn.Send(ctx, client, append(s.removalsButFiles(client, &e), s.fileRemovals(client, earlier)...)...)
}

// forgetFiles removes entries from the index by file. What fails is left to those
// who come across it.
func (s *Store) forgetFiles(client rueidis.Client, entries []format.Entry) {
	ctx, cancel := s.conn.WithTimeout(s.closed)
	defer cancel()
	s.conn.Send(ctx, client, s.fileRemovals(client, entries)...)
}

// fileRemovals are the commands that remove entries from the index by file.
func (s *Store) fileRemovals(client rueidis.Client, entries []format.Entry) []rueidis.Completed {
	members := stale{}
	for i := range entries {
		for shard, those := range entries[i].FileMembers() {
			members[s.keys.Files(shard)] = append(members[s.keys.Files(shard)], those...)
		}
	}
	return healings(client, members)
}
