package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// The longest life of sessions is a setting, and Redis knows nothing of it: the
// deadlines that it goes by are within the limit under which they were written.
// Where the limit has become lower since, every reader works out the deadline
// anew, from createdAt. The first Sweep, and the first look for files, brings the
// deadlines that Redis has within the limit, so that it frees those sessions and
// their end is noticed as any other. What an instance with another setting writes
// later is looked at when its indexed deadline comes.

// LimitLife implements backend.Store.
func (s *Store) LimitLife(limit time.Duration) {
	s.maxLife.Store(limit.Milliseconds())
	s.lifeLimited.Store(false)
}

// lifeEnd returns when a session's longest life ends; ok is false where there is
// no limit. Times are in ms.
func (s *Store) lifeEnd(created int64) (end int64, ok bool) {
	limit := s.maxLife.Load()
	return created + limit, limit > 0
}

// within returns a deadline within the longest life.
func (s *Store) within(created, deadline int64) int64 {
	if end, ok := s.lifeEnd(created); ok {
		return min(deadline, end)
	}
	return deadline
}

// outlived reports whether a session's longest life is over.
func (s *Store) outlived(now, created time.Time) bool {
	end, ok := s.lifeEnd(created.UnixMilli())
	return ok && end <= now.UnixMilli()
}

// limitLives brings all deadlines within the limit, once.
func (s *Store) limitLives(ctx context.Context, client rueidis.Client, now time.Time) error {
	limit := s.maxLife.Load()
	if limit == 0 || s.lifeLimited.Load() {
		return nil
	}
	for shard := range format.Shards {
		late, err := s.beyondLife(ctx, client, now, shard)
		if err != nil {
			return err
		}
		for batch := range slices.Chunk(late, maxBatch) {
			if _, err := s.limitAll(ctx, client, now, batch); err != nil {
				return err
			}
		}
	}
	// Unless the limit is another by now.
	s.lifeLimited.Store(s.maxLife.Load() == limit)
	return nil
}

// beyondLife returns the entries of a shard whose indexed deadline is beyond the
// longest life.
func (s *Store) beyondLife(ctx context.Context, client rueidis.Client, now time.Time, shard int) ([]format.Entry, error) {
	const doing = "looking for sessions beyond the longest life"
	var late []format.Entry
	from, seen := millis(now), 0
	for {
		limited, cancel := s.conn.WithTimeout(ctx)
		cmd := client.B().Arbitrary("ZRANGE").Keys(s.keys.Expiries(shard)).
			Args(from, "+inf", "BYSCORE", "LIMIT", strconv.Itoa(seen), strconv.Itoa(maxBatch), "WITHSCORES").ReadOnly().Pin()
		members, err := client.Do(limited, cmd).AsZScores()
		cancel()
		if err != nil {
			return nil, failed(doing, err)
		}
		for _, m := range members {
			score := strconv.FormatInt(int64(m.Score), 10)
			if score != from {
				from, seen = score, 0
			}
			seen++
			e, ok := format.ParseExpiry(m.Member)
			if end, limited := s.lifeEnd(e.Created); ok && limited && int64(m.Score) > end {
				late = append(late, e)
			}
		}
		if len(members) < maxBatch {
			return late, nil
		}
	}
}

// limitAll brings the deadlines of sessions within the limit, and their places in
// the index. It returns the deadlines, 0 for those that are not there any more.
func (s *Store) limitAll(ctx context.Context, client rueidis.Client, now time.Time, entries []format.Entry) ([]int64, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	calls := make([]lua.Call, len(entries))
	cmds := make([]rueidis.Completed, len(entries))
	for i := range entries {
		e := &entries[i]
		name := s.keys.Session(e.Key)
		s.written.add(name)
		end := s.within(e.Created, noDeadline)
		calls[i] = lua.Call{Script: lua.Limit, Keys: []string{name, format.Tombstone(name)}, Args: []string{
			millis(now), strconv.Itoa(schema.CreatedAtOffset(e.Key.ID)), time.UnixMilli(e.Created).UTC().Format(schema.TimeLayout),
			strconv.FormatInt(end, 10), s.tombstoneLife(),
		}}
		cmds[i] = client.B().Arbitrary("ZADD").Keys(s.keys.ExpiriesOf(e.Key)).
			Args("XX", "LT", strconv.FormatInt(end, 10), e.ExpiryMember()).Build().Pin()
	}
	deadlines := make([]int64, len(entries))
	answers, failures := s.evalAll(ctx, client, "limiting the life of sessions", calls)
	for i, a := range answers {
		switch {
		case errors.Is(failures[i], backend.ErrDamaged):
			continue
		case failures[i] != nil:
			return nil, failures[i]
		}
		if a.Outcome == lua.Done && a.Deadline() > now.UnixMilli() {
			deadlines[i] = a.Deadline()
		}
	}
	return deadlines, firstError("indexing sessions", client.DoMulti(ctx, cmds...))
}

// noDeadline is later than any.
const noDeadline = 1<<53 - 1

// freeOutlived frees the session of a key if its longest life is over, which the
// scripts that create and change do not ask. It reports whether it did.
func (s *Store) freeOutlived(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key) (bool, error) {
	if s.maxLife.Load() == 0 {
		return false, nil
	}
	value, err := client.Do(ctx, client.B().Get().Key(s.keys.Session(key)).Build().Pin()).ToString()
	if err != nil {
		if rueidis.IsRedisNil(err) {
			return true, nil
		}
		return false, failed("reading a session", err)
	}
	var st format.Value
	isSession := s.codec.Decode(key, value, &st) == nil && !st.Pending
	if !isSession || !s.outlived(now, st.Session.CreatedAt) {
		return false, nil
	}
	_, err = s.limitAll(ctx, client, now, []format.Entry{format.NewEntry(&st.Session, st.Index)})
	return err == nil, err
}
