package redis

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
)

// announce writes an entry to all indexes. It has to be through before a
// session with its stamp is stored: then whoever looks for a session finds it.
func (s *Store) announce(ctx context.Context, client rueidis.Client, e *entry, deadline int64) error {
	return firstError("indexing a session", s.send(ctx, client, s.additions(client, e, deadline)...))
}

// additions are the commands that write an entry.
func (s *Store) additions(client rueidis.Client, e *entry, deadline int64) []rueidis.Completed {
	cmds := make([]rueidis.Completed, 0, 4+len(e.files))
	add := func(key string, score int64, members ...string) {
		cmd := client.B().Arbitrary("ZADD").Keys(key)
		for _, member := range members {
			cmd = cmd.Args(strconv.FormatInt(score, 10), member)
		}
		cmds = append(cmds, cmd.Build().Pin())
	}
	age := e.ageMember()
	add(s.expiriesOf(e.key), deadline, e.expiryMember())
	add(s.agesOf(e.key), 0, age)
	if e.key.Namespace != schema.DefaultNamespace {
		add(s.namesOf(e.key), 0, e.key.Namespace)
	}
	if e.user != "" {
		add(s.user(e.key.Namespace, e.user), 0, age)
	}
	for shard, members := range e.fileMembers() {
		for some := range slices.Chunk(members, maxMembers) {
			add(s.files(shard), 0, some...)
		}
	}
	return cmds
}

// forget removes an entry whose session is gone, or has another by now. What
// fails is left to those who come across it.
func (s *Store) forget(ctx context.Context, client rueidis.Client, entries ...entry) {
	ctx, cancel := s.afterwards(ctx)
	defer cancel()
	var cmds []rueidis.Completed
	for i := range entries {
		cmds = append(cmds, s.removals(client, &entries[i])...)
	}
	s.send(ctx, client, cmds...)
}

// removals are the commands that remove an entry; the first is that which
// removes it from the index by deadline.
func (s *Store) removals(client rueidis.Client, e *entry) []rueidis.Completed {
	cmds := s.removalsButFiles(client, e)
	for shard, members := range e.fileMembers() {
		cmds = appendZrem(cmds, client, s.files(shard), members)
	}
	return cmds
}

// removalsButFiles are removals without those from the index by file.
func (s *Store) removalsButFiles(client rueidis.Client, e *entry) []rueidis.Completed {
	cmds := make([]rueidis.Completed, 0, 3+len(e.files))
	remove := func(key, member string) {
		cmds = append(cmds, client.B().Zrem().Key(key).Member(member).Build().Pin())
	}
	age := e.ageMember()
	remove(s.expiriesOf(e.key), e.expiryMember())
	remove(s.agesOf(e.key), age)
	if e.user != "" {
		remove(s.user(e.key.Namespace, e.user), age)
	}
	return cmds
}

// fileMembers returns the members in the index by file that are meant, by shard.
func (e *entry) fileMembers() map[int][]string {
	if len(e.files) == 0 {
		return nil
	}
	members := make(map[int][]string, min(len(e.files), shards))
	for _, path := range e.files {
		if !e.means(path) {
			continue
		}
		shard := shardOf(path)
		members[shard] = append(members[shard], e.fileMember(path))
	}
	return members
}

// firstError returns the first error of several results.
func firstError(doing string, results []rueidis.RedisResult) error {
	for _, result := range results {
		if err := result.Error(); err != nil {
			return failed(doing, err)
		}
	}
	return nil
}
