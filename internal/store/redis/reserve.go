package redis

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// reserve is the share of each server's memory that guests cannot take. The
// scripts that store a session ask the server they run on, so what guests take
// beyond their share is one document at most, whatever the number of instances.
// The room that is known here saves the round trips of a refusal.
type reserve struct {
	// room is what guests could still take, in bytes, of the primary that has most
	// of it; unlimited while it is unknown.
	room atomic.Int64
	// refused counts what the reserve was kept from.
	refused atomic.Int64
}

// How often the servers are asked for their memory: guests are refused for that
// long although there is room again.
const (
	memoryInterval     = time.Second
	memoryIntervalNear = 50 * time.Millisecond
)

// near is the part of what guests may take from which on the memory is looked at
// more often, in percent.
const near = 75

// memory is what a server says of its memory, in bytes.
type memory struct {
	used int64
	// limit is 0 where there is none.
	limit int64
}

// guests is how much of it there may be while a guest gets more.
func (m memory) guests(reserve int) int64 { return m.limit / 100 * int64(100-reserve) }

// memoryOf reads it from what INFO answers. Replicas' buffers do not count, as
// they do not for Redis.
func memoryOf(facts map[string]string, limit int64) memory {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(facts[name], 10, 64) // what is missing is 0
		return n
	}
	if own := number("maxmemory"); own > 0 && (limit == 0 || own < limit) {
		limit = own
	}
	return memory{used: number("used_memory") - number("mem_not_counted_for_evict"), limit: limit}
}

// reserveArg is what a guest cannot take, as scripts take it; empty where the
// session is no guest's.
func (s *Store) reserveArg(guest bool) string {
	if !guest || s.opts.Reserve == 0 {
		return ""
	}
	return strconv.Itoa(s.opts.Reserve) + " " + strconv.FormatInt(s.opts.MaxMemory, 10)
}

// unlimited is a room that has no known limit.
const unlimited = math.MaxInt64

// overhead is about what a session takes in Redis beyond its document.
const overhead = 900

// checkReserve returns backend.ErrFull if the session is a guest's and no server
// has room for it.
func (s *Store) checkReserve(guest bool, grows int, doing string) error {
	if !guest || s.opts.Reserve == 0 || int64(grows) <= s.reserve.room.Load() {
		return nil
	}
	return s.reservedError(doing)
}

// reservedError is the error of a guest that only the reserve had room for.
func (s *Store) reservedError(doing string) error {
	s.reserve.refused.Add(1)
	return fmt.Errorf("redis: %s: %w: what is left is for users and services", doing, backend.ErrFull)
}

// guest reports whether what is made cannot take the reserve.
func guest(next *schema.Session) bool { return next.UserID == "" && !next.Trusted }

// guestGrows reports whether a change makes a guest's session take more. One that
// names other files does: those that it named stay in the indexes for a while. A
// session that loses its user is not refused for being a guest.
func guestGrows(old, next *schema.Session) bool {
	return old.UserID == "" && guest(next) && (len(next.Doc) > len(old.Doc) || len(next.Files) > 0 && !format.SameEntry(old, next))
}

// watchMemory asks the servers for their memory, and for their maxmemory-policy, until
// the store is closed.
func (s *Store) watchMemory() {
	next := time.NewTimer(0)
	defer next.Stop()
	for logged := ""; ; {
		select {
		case <-s.closed.Done():
			return
		case <-next.C:
		}
		tight, problem := s.lookAtMemory()
		if problem != "" && problem != logged {
			s.log.WarnContext(s.closed, "visitors' sessions can take all of Redis' memory: nothing is kept for users and services", slog.String("reason", problem))
			logged = problem
		}
		if tight {
			next.Reset(memoryIntervalNear)
		} else {
			next.Reset(memoryInterval)
		}
	}
}

// lookAtMemory asks each primary once, and reports whether guests are close to
// their share of one. A server that does not answer is no reason to refuse
// anybody. problem is why there is no reserve.
func (s *Store) lookAtMemory() (tight bool, problem string) {
	client, err := s.client()
	if err != nil {
		s.reserve.room.Store(unlimited)
		return true, ""
	}
	ctx, cancel := s.conn.WithTimeout(s.closed)
	defer cancel()
	room, policy := int64(math.MinInt64), ""
	for _, node := range client.Nodes() {
		facts, err := memoryFacts(ctx, node)
		switch {
		case conn.Answered(err, "NOPERM ", "ERR unknown command"):
			s.reserve.room.Store(unlimited)
			if s.opts.Reserve == 0 {
				return false, ""
			}
			return false, "the Redis user may not run INFO (+info)"
		case err != nil || facts["role"] != "master":
			continue
		}
		if evictsIndexes(facts["maxmemory_policy"]) && !s.opts.AllowKeyEviction {
			policy = facts["maxmemory_policy"]
		}
		if s.opts.Reserve == 0 {
			room = unlimited
			continue
		}
		m := memoryOf(facts, s.opts.MaxMemory)
		if m.limit == 0 {
			problem = "Redis has no maxmemory, and REDIS_MAX_MEMORY_BYTES is not set"
			room = unlimited
			continue
		}
		room = max(room, m.guests(s.opts.Reserve)-m.used)
		tight = tight || m.used > m.guests(s.opts.Reserve)/100*near
	}
	if room == math.MinInt64 { // no server has answered
		s.reserve.room.Store(unlimited)
		return tight, problem
	}
	s.policy.note(s.closed, s.log, policy)
	s.reserve.room.Store(room)
	return tight, problem
}

// memoryFacts asks one server.
func memoryFacts(ctx context.Context, node rueidis.Client) (map[string]string, error) {
	info, err := node.Do(ctx, node.B().Arbitrary("INFO").Args("memory", "replication").Build().Pin()).ToString()
	if err != nil {
		return nil, failed("asking for the memory", err)
	}
	return conn.ParseInfo(info), nil
}
