package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Clear implements backend.Store. It goes through the index until a pass finds
// nothing that is, or just was, a session: what is regenerated meanwhile leaves
// its place, but leads to another pass.
func (s *Store) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	client, err := s.using(ctx, f.Namespace)
	if err != nil {
		return 0, err
	}
	c := &clearing{store: s, client: client, now: now, filter: f, ranges: s.ageRanges(f)}
	for {
		before := c.ended
		again, err := c.pass(ctx)
		if err != nil || !again {
			return c.ended, err
		}
		if c.ended > before {
			continue
		}
		// Somebody else is at it.
		if err := conn.Pause(ctx, 0); err != nil {
			return c.ended, failed("ending sessions", err)
		}
	}
}

// lexRange is a part of an index by age.
type lexRange struct{ key, from, to string }

// ageRanges returns the parts of the indexes that have what a filter matches.
func (s *Store) ageRanges(f backend.Filter) []lexRange {
	var keys []string
	if f.UserID != "" {
		keys = []string{s.keys.User(f.Namespace, f.UserID)}
	} else {
		keys = make([]string, format.Shards)
		for shard := range format.Shards {
			keys[shard] = s.keys.Ages(f.Namespace, shard)
		}
	}
	if f.Created == (backend.Span{}) {
		ranges := make([]lexRange, len(keys))
		for i, key := range keys {
			ranges[i] = lexRange{key, "-", "+"}
		}
		return ranges
	}
	from, to := createdWithin(f.Created)
	ranges := make([]lexRange, 0, len(format.Forms)*len(keys))
	for _, key := range keys {
		for _, form := range format.Forms {
			ranges = append(ranges, lexRange{key, from.From(form), to.Until(form)})
		}
	}
	return ranges
}

// createdWithin returns the positions between which a list has the sessions that
// were created in the span.
func createdWithin(created backend.Span) (from, to format.Position) {
	from, to = format.Start, format.Finish
	after, before := created.Millis()
	if !created.Before.IsZero() {
		from = format.Position{Created: before - 1}
	}
	if !created.After.IsZero() {
		to = format.Position{Created: max(after, 0)}
	}
	return from, to
}

// clearing is a Clear under way.
type clearing struct {
	store  *Store
	client rueidis.Client
	now    time.Time
	filter backend.Filter
	ranges []lexRange // of the indexes by age
	ended  int
	// nowhere are the members that led to no session in the pass before.
	nowhere map[string]bool
}

// pass goes through the index once, and reports whether that was not the last
// time: unless it ended nothing, and met nothing that changed under it.
func (c *clearing) pass(ctx context.Context) (again bool, err error) {
	known := c.nowhere
	c.nowhere = map[string]bool{}
	froms := make([]string, len(c.ranges))
	open := make([]int, len(c.ranges))
	for i := range c.ranges {
		froms[i], open[i] = c.ranges[i].from, i
	}
	// All shards at once: a session that moves from one to another must be seen
	// in one of them.
	for len(open) > 0 {
		batches, err := c.read(ctx, open, froms)
		if err != nil {
			return false, err
		}
		var further []int
		var entries []ageMember
		gone := staleMembers{}
		for n, i := range open {
			entries = c.matching(entries, c.ranges[i].key, batches[n], gone)
			if len(batches[n]) == clearBatch {
				froms[i] = "(" + batches[n][clearBatch-1]
				further = append(further, i)
			}
		}
		for batch := range slices.Chunk(entries, maxBatch) {
			changed, err := c.end(ctx, batch, known, gone)
			if err != nil {
				return false, err
			}
			again = again || changed
		}
		c.store.removeStale(ctx, c.client, gone)
		open = further
	}
	return again, nil
}

// clearBatch is how many members of a shard are read at once.
const clearBatch = 128

func (c *clearing) read(ctx context.Context, open []int, froms []string) ([][]string, error) {
	cmds := make([]rueidis.Completed, len(open))
	for n, i := range open {
		cmds[n] = rangeByLex(c.client, c.ranges[i].key, froms[i], c.ranges[i].to, clearBatch)
	}
	return c.store.readAll(ctx, c.client, "ending sessions", cmds)
}

// matching appends the entries of the members that the filter matches. Those
// that no store wrote go to gone.
func (c *clearing) matching(entries []ageMember, key string, members []string, gone staleMembers) []ageMember {
	for _, member := range members {
		e, ok := format.ParseAge(c.filter.Namespace, member)
		switch {
		case !ok:
			gone.add(key, member)
		case e.Key.ID != c.filter.Except && c.filter.Created.Contains(time.UnixMilli(e.Created)):
			entries = append(entries, ageMember{Entry: e, index: key, member: member})
		}
	}
	return entries
}

// end ends the sessions of entries. known are members that led nowhere in the pass
// before. It adds to gone those that lead nowhere for good, and reports whether
// anything changed.
func (c *clearing) end(ctx context.Context, entries []ageMember, known map[string]bool, gone staleMembers) (changed bool, err error) {
	if c.filter.UserID != "" {
		if entries, err = c.ofUser(ctx, entries, gone); err != nil {
			return false, err
		}
	}
	limited, cancel := c.store.conn.WithTimeout(ctx)
	defer cancel()
	calls := make([]lua.Call, len(entries))
	for i, e := range entries {
		// With this version, the session is the one that the entry is of.
		calls[i] = c.store.deletion(c.now, e.Key, 0, e.Version.String())
	}
	var over []format.Entry
	answers, failures := c.store.changeAll(limited, c.client, "ending sessions", calls)
	for i, a := range answers {
		e, failure := entries[i], failures[i]
		switch {
		case errors.Is(failure, backend.ErrDamaged):
			// Another program's session is adopted, and ended by the next pass. A
			// damaged one can be ended by its id only.
			if c.store.adopt(limited, c.client, c.now, e.Key, nil) == nil {
				changed = true
			} else {
				c.nowhere[e.member] = true
			}
			continue
		case failure != nil:
			err = failure // but what was ended is counted
			continue
		}
		switch a.Outcome {
		case lua.Done:
			if c.store.outlived(c.now, time.UnixMilli(e.Created)) {
				c.store.expirations.Add(1)
			} else {
				c.ended++
				c.store.deletes.Add(1)
			}
			if ended, err := c.store.codec.Entry(e.Key, a.Text(0)); err == nil {
				over = append(over, ended)
			}
			changed = true
		case lua.Pending:
			changed = true // it will be a session, or nothing
		default:
			// Absent, or indexed anew: then the other entry was written before.
			changed = changed || !known[e.member]
			if e.Version.Settled(c.now) {
				gone.add(e.index, e.member)
			} else {
				c.nowhere[e.member] = true
			}
		}
	}
	c.store.removeEntries(ctx, c.client, over...)
	return changed, err
}

// ofUser returns the entries but for those whose session is another user's. No
// store writes such an entry, and if there is one, it must not sign a user out.
func (c *clearing) ofUser(ctx context.Context, entries []ageMember, gone staleMembers) ([]ageMember, error) {
	keys := make([]backend.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	found, err := c.store.fetchAll(ctx, c.client, c.now, keys)
	if err != nil {
		return nil, err
	}
	own := make([]ageMember, 0, len(entries))
	for i, e := range entries {
		if found[i] != nil && found[i].Index == e.Version && found[i].Session.UserID != c.filter.UserID {
			gone.add(e.index, e.member)
		} else {
			own = append(own, e)
		}
	}
	return own, nil
}
