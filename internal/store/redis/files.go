package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store"
)

// Files implements store.Store. The index is a superset of the references: each
// is checked, and one that cannot be is an error.
func (s *Store) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := s.limitLives(ctx, client, now); err != nil {
		return err
	}
	froms := make([]string, shards)
	open := make([]int, shards)
	for shard := range shards {
		froms[shard], open[shard] = "-", shard
	}
	for len(open) > 0 {
		cmds := make([]rueidis.Completed, len(open))
		for n, shard := range open {
			cmds[n] = rangeByLex(client, s.files(shard), froms[shard], "+", filesBatch)
		}
		batches, err := s.readAll(ctx, client, "reading references to files", cmds)
		if err != nil {
			return err
		}
		var further []int
		var refs []ref
		gone := stale{}
		for n, shard := range open {
			members := batches[n]
			refs = s.parseFiles(refs, shard, members, gone)
			if len(members) == filesBatch {
				froms[shard] = "(" + afterFile(members[filesBatch-1])
				further = append(further, shard)
			}
		}
		if err := s.yieldFiles(ctx, client, now, refs, gone, yield); err != nil {
			return err
		}
		open = further
	}
	return nil
}

// filesBatch is how many references of a shard are handled at once.
const filesBatch = 64

// afterFile returns what comes after all members of a member's file.
func afterFile(member string) string {
	if e, ok := parseFile(member); ok {
		return filePrefix(e.files[0]) + "\xff"
	}
	return member
}

// yieldFiles yields the files of references. Those of one file follow each
// other.
func (s *Store) yieldFiles(ctx context.Context, client rueidis.Client, now time.Time, refs []ref, gone stale, yield func(path string) error) error {
	defer func() { s.heal(ctx, client, gone) }()
	valid, err := s.checkRefs(ctx, client, now, refs, gone)
	if err != nil {
		return err
	}
	for i := 0; i < len(refs); {
		path, found := refs[i].files[0], false
		for ; i < len(refs) && refs[i].files[0] == path; i++ {
			found = found || valid[i]
		}
		// None of those that were read may mean that there is another by now.
		if !found {
			if found, err = s.hasFile(ctx, client, now, path); err != nil {
				return err
			}
		}
		if found {
			if err := yield(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// ref is a reference to a file, with its member.
type ref struct {
	entry
	index, member string
}

// parseFiles appends the references of members of a shard. Those that no store
// wrote go to gone.
func (s *Store) parseFiles(refs []ref, shard int, members []string, gone stale) []ref {
	key := s.files(shard)
	for _, member := range members {
		if e, ok := parseFile(member); ok {
			refs = append(refs, ref{entry: e, index: key, member: member})
		} else {
			gone.add(key, member)
		}
	}
	return refs
}

// HasFile implements store.Store.
func (s *Store) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	client, err := s.client()
	if err != nil {
		return false, err
	}
	if err := s.limitLives(ctx, client, now); err != nil {
		return false, err
	}
	for batch := range slices.Chunk(paths, maxBatch) {
		some, err := s.indexed(ctx, client, batch)
		if err != nil {
			return false, err
		}
		for _, path := range some {
			if has, err := s.hasFile(ctx, client, now, path); has || err != nil {
				return has, err
			}
		}
	}
	return false, nil
}

// indexed returns those of the paths that have an entry at all.
func (s *Store) indexed(ctx context.Context, client rueidis.Client, paths []string) ([]string, error) {
	cmds := make([]rueidis.Completed, len(paths))
	for i, path := range paths {
		prefix := filePrefix(path)
		cmds[i] = rangeByLex(client, s.filesOf(path), "["+prefix, "("+prefix+"\xff", 1)
	}
	batches, err := s.readAll(ctx, client, "looking up files", cmds)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, members := range batches {
		if len(members) > 0 {
			out = append(out, paths[i])
		}
	}
	return out, nil
}

// hasFile reports whether a live session refers to the file. A session that is
// regenerated, or that takes over a reference, is never without an entry, but
// may have another each time one looks. So no is only said when there is no
// entry, or when two looks show the same ones.
func (s *Store) hasFile(ctx context.Context, client rueidis.Client, now time.Time, path string) (bool, error) {
	var before []string
	for {
		found, members, err := s.look(ctx, client, now, path)
		switch {
		case err != nil:
			return false, err
		case found:
			return true, nil
		case len(members) == 0, before != nil && slices.Equal(before, members):
			return false, nil
		}
		before = members
	}
}

// look looks through the entries of a file until one holds. It returns those
// that do not and are still there.
func (s *Store) look(ctx context.Context, client rueidis.Client, now time.Time, path string) (found bool, left []string, err error) {
	prefix, shard := filePrefix(path), shardOf(path)
	for from := "[" + prefix; ; {
		cmd := rangeByLex(client, s.files(shard), from, "("+prefix+"\xff", maxBatch)
		batches, err := s.readAll(ctx, client, "looking up a file", []rueidis.Completed{cmd})
		if err != nil {
			return false, nil, err
		}
		members, gone := batches[0], stale{}
		valid, err := s.checkRefs(ctx, client, now, s.parseFiles(nil, shard, members, gone), gone)
		if err != nil {
			return false, nil, err
		}
		s.heal(ctx, client, gone)
		if slices.Contains(valid, true) {
			return true, nil, nil
		}
		for _, member := range members {
			if !slices.Contains(gone[s.files(shard)], member) {
				left = append(left, member)
			}
		}
		if len(members) < maxBatch {
			return false, left, nil
		}
		from = "(" + members[len(members)-1]
	}
}

// checkRefs reports which references hold: their session is live, or about to
// be, and refers to the file. Members that lead nowhere go to gone.
func (s *Store) checkRefs(ctx context.Context, client rueidis.Client, now time.Time, refs []ref, gone stale) ([]bool, error) {
	valid := make([]bool, 0, len(refs))
	for batch := range slices.Chunk(refs, maxBatch) {
		keys := make([]store.Key, len(batch))
		for i := range batch {
			keys[i] = batch[i].key
		}
		stamps, err := s.stamps(ctx, client, now, keys)
		if err != nil {
			return nil, err
		}
		for i, r := range batch {
			holds := stamps[i] != nil && *stamps[i] == r.stamp
			if !holds && stamps[i] != nil {
				// It was indexed anew. That it has an entry for the file under
				// its new stamp, too, is known only after looking.
				if holds, err = s.refers(ctx, client, now, r); err != nil {
					return nil, err
				}
			}
			if !holds && r.stamp.settled(now) {
				gone.add(r.index, r.member)
			}
			valid = append(valid, holds)
		}
	}
	return valid, nil
}

// refers reports whether the session of a reference refers to the file.
func (s *Store) refers(ctx context.Context, client rueidis.Client, now time.Time, r ref) (bool, error) {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	st, _, err := s.fetch(ctx, client, now, r.key, s.session(r.key))
	if errors.Is(err, errForeign) {
		return false, nil
	}
	return st != nil && slices.Contains(st.sess.Files, r.files[0]), err
}

// stamps returns the stamps of sessions, live or pending, nil for those that
// are not there.
func (s *Store) stamps(ctx context.Context, client rueidis.Client, now time.Time, keys []store.Key) ([]*stamp, error) {
	const doing = "checking sessions"
	ctx, cancel := s.limited(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, 0, 2*len(keys))
	for _, key := range keys {
		name := s.session(key)
		cmds = append(cmds, client.B().Pexpiretime().Key(name).Build().Pin(),
			client.B().Getrange().Key(name).Start(-trailerMax).End(-1).Build().Pin())
	}
	results := client.DoMulti(ctx, cmds...)
	stamps := make([]*stamp, len(keys))
	for i := range keys {
		deadline, err := results[2*i].AsInt64()
		if err != nil {
			return nil, failed(doing, err)
		}
		if deadline <= now.UnixMilli() {
			continue // absent, expired, or foreign
		}
		tail, err := results[2*i+1].ToString()
		if answered(err, "WRONGTYPE ") {
			continue
		}
		if err != nil {
			return nil, failed(doing, err)
		}
		if _, text, ok := cutTrailer(tail); ok {
			if t, ok := parseTrailer(text); ok {
				stamps[i] = &t.index
			}
		}
	}
	return stamps, nil
}
