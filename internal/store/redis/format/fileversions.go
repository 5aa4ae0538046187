package format

import "slices"

// FileVersions are the versions of a session's entries in the index by file, one
// for each shard of that index. A change rewrites the entries of the shards in
// which a reference changes, under its own version, and leaves the others as they
// are. So a change of one reference costs what one shard has, not what the session
// has.
type FileVersions [Shards]Version

// fileVersionsText is the length of FileVersions as text.
const fileVersionsText = Shards * versionText

// ManyFiles is how many references a session has at least for which FileVersions
// pay: with fewer it is cheaper to write all of its entries.
const ManyFiles = Shards

// String returns the versions as values have them, empty for nil.
func (f *FileVersions) String() string {
	if f == nil {
		return ""
	}
	b := make([]byte, 0, fileVersionsText)
	for i := range f {
		b = versionEncoding.AppendEncode(b, f[i][:])
	}
	return string(b)
}

// ParseFileVersions is the reverse of String.
func ParseFileVersions(text string) (f *FileVersions, ok bool) {
	if text == "" {
		return nil, true
	}
	if len(text) != fileVersionsText {
		return nil, false
	}
	f = new(FileVersions)
	for i := range f {
		if f[i], ok = ParseVersion(text[i*versionText : (i+1)*versionText]); !ok {
			return nil, false
		}
	}
	return f, true
}

// Of returns the version of the entry for a path, of a session whose other entries
// have the version index.
func (f *FileVersions) Of(path string, index Version) Version {
	if f == nil {
		return index
	}
	return f[ShardOf(path)]
}

// fileVersion returns the version of the entry for a path.
func (e *Entry) fileVersion(path string) Version { return e.FileVersions.Of(path, e.Version) }

// Includes reports whether the member for a path is one of those that the entry
// stands for.
func (e *Entry) Includes(path string) bool { return e.only == nil || e.only[ShardOf(path)] }

// changedShards returns the shards of the index by file in which two sets of
// references differ.
func changedShards(before, after []string) *[Shards]bool {
	var changed [Shards]bool
	had := make(map[string]struct{}, len(before))
	for _, path := range before {
		had[path] = struct{}{}
	}
	for _, path := range after {
		if _, ok := had[path]; !ok {
			changed[ShardOf(path)] = true
		}
		delete(had, path)
	}
	for path := range had {
		changed[ShardOf(path)] = true
	}
	return &changed
}

// Reuse makes e, the new entry of a session that has one before, reuse the members
// of the shards of the index by file in which nothing changes. Both entries then
// stand for the members of the other shards only.
func (e *Entry) Reuse(before *Entry) {
	changed := changedShards(before.Files, e.Files)
	if !slices.Contains(changed[:], false) {
		return
	}
	versions := new(FileVersions)
	for shard := range versions {
		switch {
		case changed[shard]:
			versions[shard] = e.Version
		case before.FileVersions != nil:
			versions[shard] = before.FileVersions[shard]
		default:
			versions[shard] = before.Version
		}
	}
	e.FileVersions, e.only, before.only = versions, changed, changed
}
