package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Files implements backend.Store. The index is a superset of the references: each
// is checked, and one that cannot be is an error.
func (s *Store) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := s.limitLives(ctx, client, now); err != nil {
		return err
	}
	froms := make([]string, format.Shards)
	open := make([]int, format.Shards)
	for shard := range format.Shards {
		froms[shard], open[shard] = "-", shard
	}
	for len(open) > 0 {
		cmds := make([]rueidis.Completed, len(open))
		for n, shard := range open {
			cmds[n] = rangeByLex(client, s.keys.Files(shard), froms[shard], "+", filesBatch)
		}
		batches, err := s.readAll(ctx, client, "reading references to files", cmds)
		if err != nil {
			return err
		}
		var further []int
		var refs []ref
		gone := staleMembers{}
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
	if e, ok := format.ParseFile(member); ok {
		return format.FilePrefix(e.Files[0]) + "\xff"
	}
	return member
}

// yieldFiles yields the files of references. Those of one file follow each
// other.
func (s *Store) yieldFiles(ctx context.Context, client rueidis.Client, now time.Time, refs []ref, gone staleMembers, yield func(path string) error) error {
	defer func() { s.removeStale(ctx, client, gone) }()
	valid, err := s.checkRefs(ctx, client, now, refs, nil, gone)
	if err != nil {
		return err
	}
	for i := 0; i < len(refs); {
		path, found := refs[i].Files[0], false
		for ; i < len(refs) && refs[i].Files[0] == path; i++ {
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
	format.Entry
	index, member string
}

// parseFiles appends the references of members of a shard. Those that no store
// wrote go to gone.
func (s *Store) parseFiles(refs []ref, shard int, members []string, gone staleMembers) []ref {
	key := s.keys.Files(shard)
	for _, member := range members {
		if e, ok := format.ParseFile(member); ok {
			refs = append(refs, ref{Entry: e, index: key, member: member})
		} else {
			gone.add(key, member)
		}
	}
	return refs
}

// HasFile implements backend.Store. A session that is regenerated, or that names a
// file by another of the paths, is never without an entry, but may have another
// each time one looks. So all paths are looked at in one step, each entry's
// session is asked for any of them, and no is only said where there is no entry,
// or where two looks show the same ones.
//
// In a Cluster the parts of the index are on several servers, which nothing looks
// at in one step. There an entry that a change replaced stays for longer than a
// look takes (see delayRemoval): a session that refers to the file by one path while
// the other is looked up still has, or has already, an entry at the next one.
func (s *Store) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	client, err := s.client()
	if err != nil {
		return false, err
	}
	if err := s.limitLives(ctx, client, now); err != nil {
		return false, err
	}
	for batch := range slices.Chunk(paths, maxBatch) {
		if has, err := s.hasAny(ctx, client, now, batch); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// hasAny is HasFile for some paths. Paths that name one file belong into one call.
func (s *Store) hasAny(ctx context.Context, client rueidis.Client, now time.Time, paths []string) (bool, error) {
	var before []string
	for {
		found, err := s.lookup(ctx, client, paths)
		if err != nil {
			return false, err
		}
		var refs []ref
		var members []string
		gone := staleMembers{}
		for i, path := range paths {
			refs = s.parseFiles(refs, format.ShardOf(path), found[i], gone)
			members = append(members, found[i]...)
		}
		valid, err := s.checkRefs(ctx, client, now, refs, paths, gone)
		if err != nil {
			return false, err
		}
		s.removeStale(ctx, client, gone)
		if slices.Contains(valid, true) {
			return true, nil
		}
		for i, path := range paths {
			if len(found[i]) < maxBatch {
				continue
			}
			// More than one look shows.
			if has, err := s.look(ctx, client, now, path, paths); has || err != nil {
				return has, err
			}
		}
		if len(members) == 0 || before != nil && slices.Equal(before, members) {
			return false, nil
		}
		before = members
	}
}

// hasFile reports whether a live session refers to the file by that path.
func (s *Store) hasFile(ctx context.Context, client rueidis.Client, now time.Time, path string) (bool, error) {
	return s.hasAny(ctx, client, now, []string{path})
}

// lookup returns the entries of paths, up to maxBatch of each: those of one and
// the same moment, but in a Cluster.
func (s *Store) lookup(ctx context.Context, client rueidis.Client, paths []string) ([][]string, error) {
	const doing = "looking up files"
	if s.opts.Cluster {
		cmds := make([]rueidis.Completed, len(paths))
		for i, path := range paths {
			prefix := format.FilePrefix(path)
			cmds[i] = rangeByLex(client, s.keys.FilesOf(path), "["+prefix, "("+prefix+"\xff", maxBatch)
		}
		return s.readAll(ctx, client, doing, cmds)
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	c := lua.Call{Script: lua.Lookup, Args: []string{"0", strconv.Itoa(maxBatch)}}
	for _, path := range paths {
		prefix := format.FilePrefix(path)
		c.Keys, c.Args = append(c.Keys, s.keys.FilesOf(path)), append(c.Args, "["+prefix, "("+prefix+"\xff")
	}
	found := make([][]string, len(paths))
	for try := 0; ; try++ {
		list, err := c.Do(ctx, client).ToArray()
		if conn.Refused(err) && try < conn.MaxTries && conn.Pause(ctx, try) == nil {
			continue
		}
		if err != nil {
			return nil, failed(doing, err)
		}
		if len(list) != len(paths) {
			return nil, failed(doing, errors.New("half an answer"))
		}
		for i, each := range list {
			if found[i], err = each.AsStrSlice(); err != nil {
				return nil, failed(doing, err)
			}
		}
		return found, nil
	}
}

// look looks through all entries of a file until one holds, by any of the paths.
func (s *Store) look(ctx context.Context, client rueidis.Client, now time.Time, path string, paths []string) (bool, error) {
	prefix, shard := format.FilePrefix(path), format.ShardOf(path)
	for from := "[" + prefix; ; {
		cmd := rangeByLex(client, s.keys.Files(shard), from, "("+prefix+"\xff", maxBatch)
		batches, err := s.readAll(ctx, client, "looking up a file", []rueidis.Completed{cmd})
		if err != nil {
			return false, err
		}
		members, gone := batches[0], staleMembers{}
		valid, err := s.checkRefs(ctx, client, now, s.parseFiles(nil, shard, members, gone), paths, gone)
		if err != nil {
			return false, err
		}
		s.removeStale(ctx, client, gone)
		if slices.Contains(valid, true) {
			return true, nil
		}
		if len(members) < maxBatch {
			return false, nil
		}
		from = "(" + members[len(members)-1]
	}
}

// checkRefs reports which references hold: their session is live, or about to
// be, and refers to the file, by any of the paths; nil is for the path of each
// reference alone. So does what may refer to it: a value that is
// no session. Members that lead nowhere go to gone.
func (s *Store) checkRefs(ctx context.Context, client rueidis.Client, now time.Time, refs []ref, paths []string, gone staleMembers) ([]bool, error) {
	valid := make([]bool, 0, len(refs))
	for batch := range slices.Chunk(refs, maxBatch) {
		keys := make([]backend.Key, len(batch))
		for i := range batch {
			keys[i] = batch[i].Key
		}
		readMetadata, err := s.readMetadata(ctx, client, now, keys)
		if err != nil {
			return nil, err
		}
		for i, r := range batch {
			found := readMetadata[i]
			holds := found != nil && found.files.Of(r.Files[0], found.index) == r.Version
			if !holds && found != nil {
				// It was indexed anew, or written by another program. Only reading it
				// shows whether it refers to the file still.
				names := paths
				if names == nil {
					names = r.Files
				}
				if holds, err = s.refers(ctx, client, now, r.Key, names); err != nil {
					return nil, err
				}
			}
			if !holds && r.Version.Settled(now) {
				gone.add(r.index, r.member)
			}
			valid = append(valid, holds)
		}
	}
	return valid, nil
}

// refers reports whether a session refers to any of the files, or may: one that
// is damaged cannot be asked.
func (s *Store) refers(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, paths []string) (bool, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	st, _, err := s.fetch(ctx, client, now, key, s.keys.Session(key))
	if errors.Is(err, backend.ErrDamaged) {
		return true, nil
	}
	return st != nil && slices.ContainsFunc(st.Session.Files, func(path string) bool { return slices.Contains(paths, path) }), err
}
