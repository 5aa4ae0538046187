package redis

import (
	"context"
	"slices"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
)

// fileStamps are the stamps of a session's members in the index by file, by
// shard of that index: a change writes the members of a shard anew, under its
// own stamp, where it changes any of them, and leaves the others as they are. So
// a change of one reference costs what one shard has, not what the session has.
type fileStamps [shards]stamp

// fileStampsText is how long fileStamps are as text.
const fileStampsText = shards * stampText

// manyFiles is how many references a session has that has fileStamps, at least.
// With fewer it is cheaper to write all of them.
const manyFiles = shards

func (f *fileStamps) String() string {
	if f == nil {
		return ""
	}
	b := make([]byte, 0, fileStampsText)
	for i := range f {
		b = stampEncoding.AppendEncode(b, f[i][:])
	}
	return string(b)
}

// parseFileStamps reads the text of fileStamps: nil for none.
func parseFileStamps(text string) (f *fileStamps, ok bool) {
	if text == "" {
		return nil, true
	}
	if len(text) != fileStampsText {
		return nil, false
	}
	f = new(fileStamps)
	for i := range f {
		if f[i], ok = parseStamp(text[i*stampText : (i+1)*stampText]); !ok {
			return nil, false
		}
	}
	return f, true
}

// of returns the stamp of a path's member, where that of the entry is index.
func (f *fileStamps) of(path string, index stamp) stamp {
	if f == nil {
		return index
	}
	return f[shardOf(path)]
}

// fileStamp returns the stamp of a path's member.
func (e *entry) fileStamp(path string) stamp { return e.fileStamps.of(path, e.stamp) }

// means reports whether a path's member is among those that the entry is about.
func (e *entry) means(path string) bool { return e.only == nil || e.only[shardOf(path)] }

// changedShards returns the shards of the index by file in which two sets of
// references differ.
func changedShards(before, after []string) *[shards]bool {
	var changed [shards]bool
	known := make(map[string]struct{}, len(before))
	for _, path := range before {
		known[path] = struct{}{}
	}
	for _, path := range after {
		if _, ok := known[path]; !ok {
			changed[shardOf(path)] = true
		}
		delete(known, path)
	}
	for path := range known {
		changed[shardOf(path)] = true
	}
	return &changed
}

// keep lets the entry of a session that has one before keep the members of the
// shards in which nothing changes. Both are then about the other shards alone.
func (e *entry) keep(before *entry) {
	changed := changedShards(before.files, e.files)
	if !slices.Contains(changed[:], false) {
		return
	}
	stamps := new(fileStamps)
	for shard := range stamps {
		switch {
		case changed[shard]:
			stamps[shard] = e.stamp
		case before.fileStamps != nil:
			stamps[shard] = before.fileStamps[shard]
		default:
			stamps[shard] = before.stamp
		}
	}
	e.fileStamps, e.only, before.only = stamps, changed, changed
}

// entryNow returns the entry of a stored session that has the same files as
// old; nil where it has not, or where that is not to be known.
func (s *Store) entryNow(ctx context.Context, client rueidis.Client, old *schema.Session) *entry {
	tail, err := client.Do(ctx, client.B().Getrange().Key(s.session(old.Key())).Start(-int64(trailerMax)).End(-1).Build().Pin()).ToString()
	if err != nil {
		return nil
	}
	_, text, ok := cutTrailer(tail)
	if !ok {
		return nil
	}
	t, ok := parseTrailer(text)
	if !ok || !t.index.fits(old.UserID, old.Files) {
		return nil
	}
	e := entryOf(old, t.index)
	e.fileStamps = t.files
	return &e
}
