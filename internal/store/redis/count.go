package redis

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// Count implements backend.Store. The index names more than there is. Up to
// exactCount, each session that it names is looked at: at its deadline and its ends,
// not at its document. Where they are few, two looks have to agree, so that a session
// that moves meanwhile is not counted twice, nor not at all. Where they are many, each
// is counted as it is when it is looked at. Beyond exactCount, see estimate.
func (s *Store) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	writer, err := s.using(ctx, f.Namespace)
	if err != nil {
		return 0, err
	}
	client, err := s.reader()
	if err != nil {
		return 0, err
	}
	c := &counting{store: s, client: client, writer: writer, now: now, filter: f, ranges: s.ageRanges(f), seed: maphash.MakeSeed()}
	if !f.Exact && f.Created == (backend.Span{}) { // the ranges are whole indexes then
		sizes, all, err := c.sizes(ctx)
		if err != nil {
			return 0, err
		}
		if all > s.exactCount {
			return c.estimate(ctx, sizes)
		}
	}
	before, err := c.pass(ctx)
	for try := 0; err == nil && before.looked <= countTwice && try < maxCounts; try++ {
		var again count
		again, err = c.pass(ctx)
		if again == before && !again.pending {
			break
		}
		before = again
		if again.pending && conn.Pause(ctx, try) != nil {
			break
		}
	}
	return before.n, err
}

const (
	// countTwice is how many sessions are looked at twice.
	countTwice = 4096
	// maxCounts is how often it is tried to see the same twice.
	maxCounts = 5
	// countBatch is how many members of a shard are read at once.
	countBatch = 512
	// exactCount is how many members an index has at most whose sessions are counted one
	// by one, which takes some 10 µs each.
	exactCount = 10_000
	// countSample is how many members are looked at of a larger one. If up to 2 % of all
	// lead nowhere, the number is within 1 % in 999 of 1,000 cases: the standard error
	// of a share p is √(p(1-p)/countSample).
	countSample = 2048
)

// counting is a Count under way.
type counting struct {
	store  *Store
	client rueidis.Client
	writer rueidis.Client // removes what leads nowhere
	now    time.Time
	filter backend.Filter
	ranges []lexRange // of the indexes by age
	seed   maphash.Seed
}

// count is what one look came to.
type count struct {
	n      int
	looked int
	// sum is a checksum of what was counted.
	sum uint64
	// pending says that something will be a session, or nothing.
	pending bool
}

// sizes returns how many members each part of the index has, and all have.
func (c *counting) sizes(ctx context.Context) (sizes []int, all int, err error) {
	const doing = "counting sessions"
	ctx, cancel := c.store.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, len(c.ranges))
	for i := range c.ranges {
		cmds[i] = c.client.B().Zcard().Key(c.ranges[i].key).Build().Pin()
	}
	sizes = make([]int, len(c.ranges))
	for i, result := range c.client.DoMulti(ctx, cmds...) {
		size, err := result.AsInt64()
		if err != nil {
			return nil, 0, failed(doing, err)
		}
		sizes[i] = int(size)
		all += int(size)
	}
	return sizes, all, nil
}

// estimate returns the size of the index, less the share of it that leads nowhere: what
// has expired since the last sweep, and entries that were replaced. That share is taken
// from a sample. Where it is 0, the size is the number. The one session that a filter
// excepts makes no difference here.
func (c *counting) estimate(ctx context.Context, sizes []int) (int, error) {
	cmds := make([]rueidis.Completed, len(c.ranges))
	for i := range c.ranges {
		cmds[i] = c.client.B().Arbitrary("ZRANDMEMBER").Keys(c.ranges[i].key).Args(strconv.Itoa(countSample / len(c.ranges))).ReadOnly().Pin()
	}
	samples, err := c.store.readAll(ctx, c.client, "counting sessions", cmds)
	if err != nil {
		return 0, err
	}
	var entries []format.Entry
	var of []int
	for i, members := range samples {
		for _, member := range members {
			if e, ok := format.ParseAge(c.filter.Namespace, member); ok {
				entries, of = append(entries, e), append(of, i)
			}
		}
	}
	live := make([]int, len(c.ranges))
	keys := make([]backend.Key, 0, maxBatch)
	for from := 0; from < len(entries); from += maxBatch {
		batch := entries[from:min(from+maxBatch, len(entries))]
		keys = keys[:0]
		for i := range batch {
			keys = append(keys, batch[i].Key)
		}
		found, err := c.store.readMetadata(ctx, c.client, c.now, keys)
		if err != nil {
			return 0, err
		}
		for i, m := range found {
			end, limited := c.store.lifeEnd(batch[i].Created)
			if m != nil && !m.pending && m.index == batch[i].Version && (!limited || end > c.now.UnixMilli()) {
				live[of[from+i]]++
			}
		}
	}
	total := 0.0
	for i, size := range sizes {
		if n := len(samples[i]); n > 0 {
			total += float64(size) * float64(live[i]) / float64(n)
		}
	}
	return int(math.Round(total)), nil
}

// pass goes through the index once.
func (c *counting) pass(ctx context.Context) (count, error) {
	var total count
	froms := make([]string, len(c.ranges))
	last := make([]format.Position, len(c.ranges)) // that was counted
	open := make([]int, len(c.ranges))
	for i := range c.ranges {
		froms[i], open[i] = c.ranges[i].from, i
	}
	for len(open) > 0 {
		cmds := make([]rueidis.Completed, len(open))
		for n, i := range open {
			cmds[n] = rangeByLex(c.client, c.ranges[i].key, froms[i], c.ranges[i].to, countBatch)
		}
		batches, err := c.store.readAll(ctx, c.client, "counting sessions", cmds)
		if err != nil {
			return total, err
		}
		var further []int
		gone := staleMembers{}
		var found []candidate
		for n, i := range open {
			found = c.candidates(found, i, batches[n], &last[i], gone)
			if len(batches[n]) == countBatch {
				froms[i] = "(" + batches[n][countBatch-1]
				further = append(further, i)
			}
		}
		for batch := range slices.Chunk(found, maxBatch) {
			if err := c.look(ctx, batch, &total, gone); err != nil {
				return total, err
			}
		}
		c.store.removeStale(ctx, c.writer, gone)
		open = further
	}
	return total, nil
}

// candidates appends those that members of an index stand for. Several members
// of one session stand next to each other, perhaps in two batches.
func (c *counting) candidates(found []candidate, index int, members []string, last *format.Position, gone staleMembers) []candidate {
	begun := len(found)
	for _, member := range members {
		e, ok := format.ParseAge(c.filter.Namespace, member)
		if !ok {
			gone.add(c.ranges[index].key, member)
			continue
		}
		if e.Key.ID == c.filter.Except || !c.filter.Created.Contains(time.UnixMilli(e.Created)) {
			continue
		}
		at, entry := e.Position(), ageMember{Entry: e, index: c.ranges[index].key, member: member}
		switch n := len(found) - 1; {
		case n >= begun && found[n].Position == at:
			found[n].entries = append(found[n].entries, entry)
		case at != *last:
			found = append(found, candidate{Position: at, entries: []ageMember{entry}})
		}
		*last = at
	}
	return found
}

// look counts those of the candidates that are live.
func (c *counting) look(ctx context.Context, batch []candidate, total *count, gone staleMembers) error {
	keys := make([]backend.Key, len(batch))
	for i := range batch {
		keys[i] = batch[i].entries[0].Key
	}
	readMetadata, err := c.store.readMetadata(ctx, c.client, c.now, keys)
	if err != nil {
		return err
	}
	for i := range batch {
		if end, ok := c.store.lifeEnd(batch[i].Created); ok && end <= c.now.UnixMilli() {
			readMetadata[i] = nil
		}
	}
	total.looked += len(batch)
	for i := range batch {
		found, fits := readMetadata[i], false
		switch {
		case found == nil:
			batch[i].check(c.now, nil, c.filter.UserID, gone)
		case found.pending:
			total.pending = true
		case batch[i].has(c.now, found.index, gone):
			fits = true
		default:
			// It was indexed anew meanwhile, and may be another's by now.
			st, err := c.store.fetchAll(ctx, c.client, c.now, keys[i:i+1])
			if err != nil {
				return err
			}
			fits = batch[i].check(c.now, st[0], c.filter.UserID, gone)
		}
		if fits {
			total.n++
			total.sum += maphash.Comparable(c.seed, [2]string{keys[i].ID, string(found.index[:])})
		}
	}
	return nil
}

// has reports whether the candidate has an entry of that version. If so, it adds
// those that lead nowhere to gone.
func (c *candidate) has(now time.Time, index format.Version, gone staleMembers) bool {
	if !slices.ContainsFunc(c.entries, func(e ageMember) bool { return e.Version == index }) {
		return false
	}
	for _, e := range c.entries {
		if e.Version != index && e.Version.Settled(now) {
			gone.add(e.index, e.member)
		}
	}
	return true
}

// metadata is what a session's key says without its document.
type metadata struct {
	index   format.Version
	files   *format.FileVersions
	pending bool
}

// readMetadata looks at sessions; nil for those that are not there. Few have a long
// trailer, so only those that may are looked at once more.
func (s *Store) readMetadata(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]*metadata, error) {
	out, unread, err := s.readMetadataAt(ctx, client, now, keys, format.TrailerUsual)
	if err != nil || len(unread) == 0 {
		return out, err
	}
	again := make([]backend.Key, len(unread))
	for n, i := range unread {
		again[n] = keys[i]
	}
	longer, _, err := s.readMetadataAt(ctx, client, now, again, format.TrailerMax)
	if err != nil {
		return nil, err
	}
	for n, i := range unread {
		out[i] = longer[n]
	}
	return out, nil
}

// readMetadataAt is glances at so many bytes of the ends of the values. unread are the
// places of those that it found no trailer in.
func (s *Store) readMetadataAt(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, size int) (out []*metadata, unread []int, err error) {
	const doing, each = "checking sessions", 3
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, 0, each*len(keys))
	for _, key := range keys {
		name := s.keys.Session(key)
		cmds = append(cmds, client.B().Pexpiretime().Key(name).Build().Pin(),
			client.B().Getrange().Key(name).Start(0).End(int64(len(format.MarkPending))-1).Build().Pin(),
			client.B().Getrange().Key(name).Start(-int64(size)).End(-1).Build().Pin())
	}
	results := client.DoMulti(ctx, cmds...)
	out = make([]*metadata, len(keys))
	for i := range keys {
		deadline, err := results[each*i].AsInt64()
		if err != nil {
			return nil, nil, failed(doing, err)
		}
		if deadline == isAbsent || deadline <= now.UnixMilli() && deadline != noExpiry {
			continue
		}
		out[i] = new(metadata) // until more is known: something that has to be read
		head, err := results[each*i+1].ToString()
		if conn.Answered(err, "WRONGTYPE ") {
			continue
		}
		if err != nil {
			return nil, nil, failed(doing, err)
		}
		tail, err := results[each*i+2].ToString()
		if err != nil {
			return nil, nil, failed(doing, err)
		}
		t, found, ok := format.ParseTrailer(tail)
		switch {
		case !found:
			unread = append(unread, i)
		case ok && deadline != noExpiry:
			out[i] = &metadata{index: t.Index, files: t.Files, pending: head == format.MarkPending}
		}
	}
	return out, unread, nil
}
