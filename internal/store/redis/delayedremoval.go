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

// delayedRemovals are entries that were replaced, whose members in the index by file
// stay for a while: as long as someone may be looking, at one part of the index
// after another, for any of the names that a file has. Of those of a session that
// name the same files, the latest does for all.
type delayedRemovals struct {
	mu          sync.Mutex
	young, aged map[replacedKey]format.Entry
	waiting     bool // removeDelayed is running
}

// replacedKey is a session with a hash of the files that an entry of it is about.
type replacedKey struct {
	key   backend.Key
	files uint64
}

var filesSeed = maphash.MakeSeed()

func replacedKeyOf(e *format.Entry) replacedKey {
	var h maphash.Hash
	h.SetSeed(filesSeed)
	for _, path := range e.Files {
		if e.Includes(path) {
			_, _ = h.WriteString(path) // it never fails
			_ = h.WriteByte(0)
		}
	}
	return replacedKey{e.Key, h.Sum64()}
}

// maxDelayed is how many entries stay at once. One that would be one more is
// removed at once: a look that began before may then miss its file. Only changes
// of very many sessions, or of very many sets of files, come to that.
const maxDelayed = 10_000

// removalDelay is longer than a look takes. An entry stays for one to two of it.
func (s *Store) removalDelay() time.Duration { return 3 * s.opts.Timeout }

// delayRemoval removes the files of an entry later on, and reports whether it will. It
// returns earlier entries that need not stay any longer now. If the process ends
// before, the next operation that finds the entry removes it.
func (s *Store) delayRemoval(client rueidis.Client, e format.Entry) (earlier []format.Entry, ok bool) {
	l := &s.delayed
	l.mu.Lock()
	defer l.mu.Unlock()
	id := replacedKeyOf(&e)
	for _, those := range []map[replacedKey]format.Entry{l.aged, l.young} {
		if other, found := those[id]; found {
			delete(those, id)
			earlier = append(earlier, other)
		}
	}
	if len(l.young)+len(l.aged) >= maxDelayed || s.closed.Err() != nil {
		return earlier, false
	}
	if l.young == nil {
		l.young = map[replacedKey]format.Entry{}
	}
	l.young[id] = e
	if !l.waiting {
		l.waiting = true
		s.background.Go(func() { s.removeDelayed(client) })
	}
	return earlier, true
}

// removeDelayed removes delayed entries when their time has come, until there are
// none or the store is closed.
func (s *Store) removeDelayed(client rueidis.Client) {
	tick := time.NewTicker(s.removalDelay())
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-s.closed.Done():
			return
		case <-tick.C:
		}
		var due []format.Entry
		due, more = s.delayed.age()
		for batch := range slices.Chunk(due, maxBatch) {
			s.removeFileEntries(client, batch)
		}
	}
}

// age takes the entries that have stayed for long enough, and reports whether there
// are others.
func (l *delayedRemovals) age() (due []format.Entry, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due = slices.Collect(maps.Values(l.aged))
	l.aged, l.young = l.young, nil
	l.waiting = len(l.aged) > 0
	return due, l.waiting
}

// removeReplaced is forget for an entry in whose place the session has another by
// now.
func (s *Store) removeReplaced(ctx context.Context, client rueidis.Client, e format.Entry) {
	if !s.opts.Cluster || !slices.ContainsFunc(e.Files, e.Includes) {
		s.removeEntries(ctx, client, e)
		return
	}
	earlier, stays := s.delayRemoval(client, e)
	if !stays {
		earlier = append(earlier, e)
	}
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	s.conn.Send(ctx, client, append(s.removalsExceptFiles(client, &e), s.fileRemovals(client, earlier)...)...)
}

// removeFileEntries removes entries from the index by file. What it fails to
// remove is removed by the next operation that finds it.
func (s *Store) removeFileEntries(client rueidis.Client, entries []format.Entry) {
	ctx, cancel := s.conn.WithTimeout(s.closed)
	defer cancel()
	s.conn.Send(ctx, client, s.fileRemovals(client, entries)...)
}

// fileRemovals are the commands that remove entries from the index by file.
func (s *Store) fileRemovals(client rueidis.Client, entries []format.Entry) []rueidis.Completed {
	members := staleMembers{}
	for i := range entries {
		for shard, those := range entries[i].FileMembers() {
			members[s.keys.Files(shard)] = append(members[s.keys.Files(shard)], those...)
		}
	}
	return staleRemovals(client, members)
}
