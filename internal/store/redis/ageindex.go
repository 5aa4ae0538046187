package redis

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// maxBatch is how many sessions are handled in one round trip at most.
const maxBatch = 256

// ageRange is the part of an index by age whose ids have one form: in order, as
// the whole index is not.
type ageRange struct {
	key, namespace string
	from, to       string // where what was not read yet begins, and where it ends
	read           []ageMember
	ended          bool
}

// ageMember is an entry that was read from an index by age, with its member there.
type ageMember struct {
	format.Entry
	index, member string
}

// ageScan merges the ranges of an index by age.
type ageScan struct {
	store  *Store
	client rueidis.Client
	// after is the position up to which nothing is returned, and to that from which on
	// nothing is.
	after, to format.Position
	// reverse: the scan goes from the oldest session to the newest.
	reverse bool
	ranges  []*ageRange
	chunk   int // how much of a range is read at once
	// broken are members, by key, that no store wrote.
	broken staleMembers
}

// staleMembers are members, by the key of their index, that lead nowhere.
type staleMembers map[string][]string

func (s staleMembers) add(key, member string) { s[key] = append(s[key], member) }

// scan returns a scan of what a query lists, after its cursor. want is how many
// sessions it is likely to have to return.
func (s *Store) scan(client rueidis.Client, q *backend.Query, want int) (*ageScan, error) {
	a := &ageScan{store: s, client: client, reverse: q.OldestFirst, broken: staleMembers{}}
	a.after, a.to = createdWithin(q.Created)
	if a.reverse {
		a.after, a.to = a.to, a.after
	}
	if q.Cursor != "" {
		last, err := decodeCursor(*q)
		if err != nil {
			return nil, err
		}
		if a.before(a.after, last) {
			a.after = last
		}
	}
	if q.UserID != "" {
		// One more than wanted shows that the last of them is whole.
		a.chunk = min(want+1, maxBatch)
		a.add(s.keys.User(q.Namespace, q.UserID), q.Namespace)
		return a, nil
	}
	// What is wanted, and a little more, spread over the shards.
	a.chunk = min(2*want/format.Shards+4, maxBatch)
	for shard := range format.Shards {
		a.add(s.keys.Ages(q.Namespace, shard), q.Namespace)
	}
	return a, nil
}

// before reports whether p comes before o in the order of the scan.
func (a *ageScan) before(p, o format.Position) bool {
	if a.reverse {
		return o.Before(p)
	}
	return p.Before(o)
}

func (a *ageScan) add(key, namespace string) {
	for _, form := range format.Forms {
		r := &ageRange{key: key, namespace: namespace, from: a.after.From(form), to: a.to.Until(form)}
		if a.reverse {
			r.from, r.to = a.after.Until(form), a.to.From(form)
		}
		a.ranges = append(a.ranges, r)
	}
}

// candidate is where a session may be: its place in the list, and the members
// that say so. As a rule that is one.
type candidate struct {
	format.Position
	entries []ageMember
}

// next returns up to n candidates in their order; none at the end.
func (a *ageScan) next(ctx context.Context, n int) ([]candidate, error) {
	var out []candidate
	for {
		if err := a.fill(ctx); err != nil {
			return nil, err
		}
		first := a.first()
		if first == nil {
			return out, nil
		}
		e := first.read[0]
		at := e.Position()
		// Entries of one session under several versions are adjacent.
		if last := len(out) - 1; last >= 0 && out[last].Position == at {
			out[last].entries = append(out[last].entries, e)
		} else {
			if len(out) == n {
				return out, nil
			}
			out = append(out, candidate{Position: at, entries: []ageMember{e}})
		}
		first.read = first.read[1:]
	}
}

// first returns the range whose next entry comes first; nil at the end.
func (a *ageScan) first() *ageRange {
	var first *ageRange
	for _, st := range a.ranges {
		if len(st.read) == 0 {
			continue
		}
		if first == nil || a.before(st.read[0].Position(), first.read[0].Position()) {
			first = st
		}
	}
	return first
}

// fill reads more of the ranges that nothing is left of.
func (a *ageScan) fill(ctx context.Context) error {
	for {
		var cmds []rueidis.Completed
		var dry []*ageRange
		for _, st := range a.ranges {
			if len(st.read) == 0 && !st.ended {
				cmds = append(cmds, a.command(st))
				dry = append(dry, st)
			}
		}
		if len(cmds) == 0 {
			return nil
		}
		batches, err := a.store.readAll(ctx, a.client, "listing sessions", cmds)
		if err != nil {
			return err
		}
		for i, members := range batches {
			a.take(dry[i], members)
		}
		a.chunk = min(2*a.chunk, maxBatch)
	}
}

// command reads more of a range.
func (a *ageScan) command(st *ageRange) rueidis.Completed {
	if !a.reverse {
		return rangeByLex(a.client, st.key, st.from, st.to, a.chunk)
	}
	return a.client.B().Arbitrary("ZRANGE").Keys(st.key).
		Args(st.from, st.to, "BYLEX", "REV", "LIMIT", "0", strconv.Itoa(a.chunk)).ReadOnly().Pin()
}

// take adds members to a range.
func (a *ageScan) take(st *ageRange, members []string) {
	st.ended = len(members) < a.chunk
	for _, member := range members {
		st.from = "(" + member
		e, ok := format.ParseAge(st.namespace, member)
		switch {
		case !ok:
			a.broken.add(st.key, member)
		case a.before(a.after, e.Position()) && a.before(e.Position(), a.to):
			st.read = append(st.read, ageMember{Entry: e, index: st.key, member: member})
		}
	}
}

// rangeByLex is a part of an index whose members order as texts.
func rangeByLex(client rueidis.Client, key, from, to string, limit int) rueidis.Completed {
	return client.B().Arbitrary("ZRANGE").Keys(key).
		Args(from, to, "BYLEX", "LIMIT", "0", strconv.Itoa(limit)).ReadOnly().Pin()
}

// readAll runs commands that return members of indexes, in one round trip.
func (s *Store) readAll(ctx context.Context, client rueidis.Client, doing string, cmds []rueidis.Completed) ([][]string, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	batches := make([][]string, len(cmds))
	for i, result := range client.DoMulti(ctx, cmds...) {
		var err error
		if batches[i], err = result.AsStrSlice(); err != nil {
			return nil, failed(doing, err)
		}
	}
	return batches, nil
}

// removeStale removes members that lead nowhere. What it fails to remove is removed
// by the next operation that finds it.
func (s *Store) removeStale(ctx context.Context, client rueidis.Client, members staleMembers) {
	if len(members) == 0 {
		return
	}
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	s.conn.Send(ctx, client, staleRemovals(client, members)...)
}

// staleRemovals are the commands that remove members that lead nowhere.
func staleRemovals(client rueidis.Client, members staleMembers) []rueidis.Completed {
	cmds := make([]rueidis.Completed, 0, len(members))
	for key, gone := range members {
		cmds = appendZrem(cmds, client, key, gone)
	}
	return cmds
}

// maxMembers is how many members one command writes or removes, at most: a session
// with a thousand files in one shard must not block Redis for as long as all of
// them take.
const maxMembers = 128

// appendZrem appends the commands that remove members.
func appendZrem(cmds []rueidis.Completed, client rueidis.Client, key string, members []string) []rueidis.Completed {
	for some := range slices.Chunk(members, maxMembers) {
		cmds = append(cmds, client.B().Zrem().Key(key).Member(some...).Build().Pin())
	}
	return cmds
}
