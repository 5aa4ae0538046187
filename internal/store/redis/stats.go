package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// Stats implements backend.Store. Entries and Bytes are those of all instances
// that share the prefix, the counters those of this one. Entries counts what is
// indexed, less what has expired since the last sweep: of each shard up to lookedAt,
// and of more, the others still count. Bytes are those of the documents, uncompressed, as far as a sample
// of up to sampled sessions of each shard shows: exact for a few sessions, and
// an estimate for many.
func (s *Store) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	entries, err := s.entries(ctx, now)
	if err != nil {
		return backend.Stats{}, err
	}
	if err := s.dropExpired(ctx, now, &entries); err != nil {
		return backend.Stats{}, err
	}
	st := backend.Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(),
		Sets: s.sets.Load(), Deletes: s.deletes.Load(), Expirations: s.expirations.Load(), Damaged: s.damage.met(), Reserved: s.reserve.refused.Load(),
	}
	var samples [format.Shards][]string
	for shard := range format.Shards {
		st.Entries += entries[shard].count
		samples[shard] = entries[shard].sample
	}
	sizes, err := s.sizes(ctx, samples)
	if err != nil {
		return backend.Stats{}, err
	}
	for shard := range format.Shards {
		if n := int64(len(samples[shard])); n > 0 {
			st.Bytes += sizes[shard] * entries[shard].count / n
		}
	}
	return st, nil
}

// sampled is how many sessions of a shard Stats looks at.
const sampled = 8

// lookedAt is how many of a shard's sessions Stats looks at whose deadline, as the
// index knows it, has come: they have expired, or were touched since.
const lookedAt = 256

// indexed is what a shard of the index by deadline holds.
type indexed struct {
	count  int64
	sample []string
	// due are members whose deadlines have come.
	due []string
}

// entries looks at all shards of the index by deadline.
func (s *Store) entries(ctx context.Context, now time.Time) ([format.Shards]indexed, error) {
	const doing = "counting sessions"
	var entries [format.Shards]indexed
	client, err := s.reader()
	if err != nil {
		return entries, err
	}
	const each = 3
	cmds := make([]rueidis.Completed, 0, each*format.Shards)
	for shard := range format.Shards {
		key := s.keys.Expiries(shard)
		cmds = append(cmds, client.B().Zcard().Key(key).Build().Pin(),
			client.B().Arbitrary("ZRANDMEMBER").Keys(key).Args(strconv.Itoa(sampled)).ReadOnly().Pin(),
			client.B().Arbitrary("ZRANGE").Keys(key).
				Args("-inf", millis(now), "BYSCORE", "LIMIT", "0", strconv.Itoa(lookedAt)).ReadOnly().Pin())
	}
	results := client.DoMulti(ctx, cmds...)
	for shard := range format.Shards {
		in, of := &entries[shard], results[each*shard:]
		if in.count, err = of[0].AsInt64(); err != nil {
			return entries, failed(doing, err)
		}
		if in.sample, err = of[1].AsStrSlice(); err != nil {
			return entries, failed(doing, err)
		}
		if in.due, err = of[2].AsStrSlice(); err != nil {
			return entries, failed(doing, err)
		}
	}
	return entries, nil
}

// dropExpired takes what has expired off the counts.
func (s *Store) dropExpired(ctx context.Context, now time.Time, entries *[format.Shards]indexed) error {
	const doing = "counting sessions"
	client, err := s.reader()
	if err != nil {
		return err
	}
	var cmds []rueidis.Completed
	var of []int
	for shard := range entries {
		for _, member := range entries[shard].due {
			e, ok := format.ParseExpiry(member)
			if !ok {
				entries[shard].count--
				continue
			}
			of = append(of, shard)
			cmds = append(cmds, client.B().Pexpiretime().Key(s.keys.Session(e.Key)).Build().Pin())
		}
	}
	for i, result := range client.DoMulti(ctx, cmds...) {
		deadline, err := result.AsInt64()
		if err != nil {
			return failed(doing, err)
		}
		if deadline <= now.UnixMilli() { // absent, expired, or external
			entries[of[i]].count--
		}
	}
	return nil
}

// sizes returns the sums of the sizes of the documents that members of each
// shard lead to.
func (s *Store) sizes(ctx context.Context, members [format.Shards][]string) ([format.Shards]int64, error) {
	const doing = "measuring sessions"
	var sums [format.Shards]int64
	client, err := s.reader()
	if err != nil {
		return sums, err
	}
	var cmds []rueidis.Completed
	var of []int
	for shard := range format.Shards {
		for _, member := range members[shard] {
			e, ok := format.ParseExpiry(member)
			if !ok {
				continue
			}
			name := s.keys.Session(e.Key)
			of = append(of, shard)
			cmds = append(cmds, client.B().Strlen().Key(name).Build().Pin(),
				client.B().Getrange().Key(name).Start(-int64(format.TrailerMax)).End(-1).Build().Pin())
		}
	}
	results := client.DoMulti(ctx, cmds...)
	for i, shard := range of {
		length, err := results[2*i].AsInt64()
		if conn.Answered(err, "WRONGTYPE ") {
			continue
		}
		if err != nil {
			return sums, failed(doing, err)
		}
		tail, err := results[2*i+1].ToString()
		if err != nil {
			return sums, failed(doing, err)
		}
		sums[shard] += format.DocumentLen(length, tail)
	}
	return sums, nil
}
