package redis

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/redis/format"
)

// addEntry writes an entry to all indexes. It must have returned before a session
// with the entry's version is stored, so that every session is found.
func (s *Store) addEntry(ctx context.Context, client rueidis.Client, e *format.Entry, deadline int64) error {
	return firstError("indexing a session", s.conn.Send(ctx, client, zadds(client, s.additions(e, deadline))...))
}

// addition is what is written to an index.
type addition struct {
	index   string
	score   int64
	members []string
}

// additions are what is written of an entry.
func (s *Store) additions(e *format.Entry, deadline int64) []addition {
	age := []string{e.AgeMember()}
	all := make([]addition, 0, 4+len(e.Files))
	all = append(all, addition{s.keys.ExpiriesOf(e.Key), deadline, []string{e.ExpiryMember()}}, addition{s.keys.AgesOf(e.Key), 0, age})
	if e.Key.Namespace != schema.DefaultNamespace {
		all = append(all, addition{s.keys.NamesOf(e.Key), 0, []string{e.Key.Namespace}})
	}
	if e.User != "" {
		all = append(all, addition{s.keys.User(e.Key.Namespace, e.User), 0, age})
	}
	for shard, members := range e.FileMembers() {
		for some := range slices.Chunk(members, maxMembers) {
			all = append(all, addition{s.keys.Files(shard), 0, some})
		}
	}
	return all
}

// zadds are the commands that write additions.
func zadds(client rueidis.Client, additions []addition) []rueidis.Completed {
	cmds := make([]rueidis.Completed, len(additions))
	for i, a := range additions {
		cmd, score := client.B().Arbitrary("ZADD").Keys(a.index), strconv.FormatInt(a.score, 10)
		for _, member := range a.members {
			cmd = cmd.Args(score, member)
		}
		cmds[i] = cmd.Build().Pin()
	}
	return cmds
}

// removeEntries removes entries whose sessions are gone, or have others by now. What
// it fails to remove is removed by the next operation that finds it.
func (s *Store) removeEntries(ctx context.Context, client rueidis.Client, entries ...format.Entry) {
	ctx, cancel := s.conn.Afterwards(ctx)
	defer cancel()
	var cmds []rueidis.Completed
	for i := range entries {
		cmds = append(cmds, s.removals(client, &entries[i])...)
	}
	s.conn.Send(ctx, client, cmds...)
}

// removals are the commands that remove an entry; the first is that which
// removes it from the index by deadline.
func (s *Store) removals(client rueidis.Client, e *format.Entry) []rueidis.Completed {
	cmds := s.removalsExceptFiles(client, e)
	for shard, members := range e.FileMembers() {
		cmds = appendZrem(cmds, client, s.keys.Files(shard), members)
	}
	return cmds
}

// removalsExceptFiles are removals without those from the index by file.
func (s *Store) removalsExceptFiles(client rueidis.Client, e *format.Entry) []rueidis.Completed {
	cmds := make([]rueidis.Completed, 0, 3+len(e.Files))
	remove := func(key, member string) {
		cmds = append(cmds, client.B().Zrem().Key(key).Member(member).Build().Pin())
	}
	age := e.AgeMember()
	remove(s.keys.ExpiriesOf(e.Key), e.ExpiryMember())
	remove(s.keys.AgesOf(e.Key), age)
	if e.User != "" {
		remove(s.keys.User(e.Key.Namespace, e.User), age)
	}
	return cmds
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
