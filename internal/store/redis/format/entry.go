package format

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"session-api/internal/schema"
)

// Entry is a session's entry in the indexes: a member in each that the session is
// in, all under one version.
type Entry struct {
	Key     schema.Key
	Created int64 // ms
	User    string
	Files   []string
	Version Version
	// FileVersions are the versions of the members in the index by file, nil where
	// all have the entry's.
	FileVersions *FileVersions
	// Life is the session's. No index has it: it is zero in an entry that was read
	// from one.
	Life schema.Life

	// only are the shards of the index by file whose members the entry stands for,
	// where the session keeps those in the others; nil for all.
	only *[Shards]bool
}

// NewEntry returns the entry of a session under a version.
func NewEntry(sess *schema.Session, v Version) Entry {
	return Entry{
		Key:     sess.Key(),
		Created: sess.CreatedAt.UnixMilli(),
		User:    sess.UserID,
		Files:   sess.Files,
		Version: v,
		Life:    sess.Life,
	}
}

// Members are compact, because there is one of each kind for every session. An id
// that the service made is stored as its 32 bytes; that also keeps the index of
// a user with few sessions in Redis's compact form, which takes members of up
// to 64 bytes.
const (
	idHex  = 'h' // 32 bytes
	idText = 't' // as it is, and a zero byte

	hexLen  = 32
	ageLen  = 6
	ageHead = 1 + ageLen // of an age member: the form of the id, the age
)

// MaxAge is the latest time in the indexes by age, in ms, and 0 the earliest.
const MaxAge = 1<<48 - 1

// formOf returns the form in which an id is stored.
func formOf(id string) byte {
	if schema.ValidID(id) {
		return idHex
	}
	return idText
}

// appendID appends an id in its form, so that ids of one form order as the
// texts do.
func appendID(dst []byte, id string) []byte {
	if formOf(id) == idHex {
		dst, _ = hex.AppendDecode(dst, []byte(id)) // it is valid
		return dst
	}
	return append(append(dst, id...), 0)
}

// cutID reads an id of that form from the start of b.
func cutID(form byte, b string) (id, rest string, ok bool) {
	switch form {
	case idHex:
		if len(b) < hexLen {
			return "", "", false
		}
		return hex.EncodeToString([]byte(b[:hexLen])), b[hexLen:], true
	case idText:
		id, rest, ok = strings.Cut(b, "\x00")
		return id, rest, ok && schema.ValidForeignID(id) && formOf(id) == idText
	}
	return "", "", false
}

// appendAge appends a time so that later ones come first.
func appendAge(dst []byte, created int64) []byte {
	age := uint64(MaxAge - min(max(created, 0), MaxAge))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], age)
	return append(dst, b[8-ageLen:]...)
}

// readAge is the reverse of appendAge.
func readAge(b string) (created int64) {
	var buf [8]byte
	copy(buf[8-ageLen:], b[:ageLen])
	return MaxAge - int64(binary.BigEndian.Uint64(buf[:])) //nolint:gosec // 48 bits
}

// AgeMember returns the member in the indexes by age: that of the namespace and that
// of the user. Members of one form order newest first, then by id.
func (e *Entry) AgeMember() string {
	b := make([]byte, 0, ageHead+hexLen+versionLen)
	b = append(b, formOf(e.Key.ID))
	b = appendAge(b, e.Created)
	b = appendID(b, e.Key.ID)
	return string(append(b, e.Version[:]...))
}

// ParseAge reads an AgeMember. The key's namespace is that of the index.
func ParseAge(namespace, member string) (e Entry, ok bool) {
	if len(member) < ageHead {
		return e, false
	}
	e.Created = readAge(member[1:])
	id, rest, ok := cutID(member[0], member[ageHead:])
	if !ok || len(rest) != versionLen {
		return e, false
	}
	e.Key = schema.Key{Namespace: namespace, ID: id}
	copy(e.Version[:], rest)
	return e, true
}

// maxListed is how many bytes of paths an expiry member lists. The entries in the
// index by file of a session with more, or with several file versions, are removed
// by readers of that index once the session has expired.
const maxListed = 1 << 10

// ExpiryMember returns the member in the index by deadline. It holds all that is
// needed to find the other members once the session is gone.
func (e *Entry) ExpiryMember() string {
	listed := 0
	for _, path := range e.Files {
		listed += len(path)
	}
	if e.FileVersions != nil {
		listed = maxListed + 1 // the member has one version only
	}
	b := make([]byte, 0, 64+len(e.Key.ID)+len(e.User)+min(listed, maxListed))
	b = append(b, e.Version[:]...)
	b = appendAge(b, e.Created)
	b = appendText(b, e.Key.Namespace)
	b = append(b, formOf(e.Key.ID))
	b = appendID(b, e.Key.ID)
	b = appendText(b, e.User)
	if listed <= maxListed {
		for _, path := range e.Files {
			b = appendText(b, path)
		}
	}
	return string(b)
}

// ParseExpiry reads an ExpiryMember.
func ParseExpiry(member string) (e Entry, ok bool) {
	if len(member) < versionLen+ageLen {
		return e, false
	}
	copy(e.Version[:], member)
	e.Created = readAge(member[versionLen:])
	namespace, rest, ok := cutText(member[versionLen+ageLen:])
	if !ok || rest == "" {
		return e, false
	}
	id, rest, ok := cutID(rest[0], rest[1:])
	if !ok {
		return e, false
	}
	e.Key = schema.Key{Namespace: namespace, ID: id}
	if e.User, rest, ok = cutText(rest); !ok {
		return e, false
	}
	for rest != "" {
		var path string
		if path, rest, ok = cutText(rest); !ok {
			return e, false
		}
		e.Files = append(e.Files, path)
	}
	return e, true
}

// FileMember returns the member in the index by file. Those of one file are next to
// each other: they start with FilePrefix.
func (e *Entry) FileMember(path string) string {
	b := make([]byte, 0, len(path)+len(e.Key.Namespace)+64)
	b = appendText(b, path)
	b = appendText(b, e.Key.Namespace)
	b = append(b, formOf(e.Key.ID))
	b = appendID(b, e.Key.ID)
	v := e.fileVersion(path)
	return string(append(b, v[:]...))
}

// FileMembers returns the members in the index by file that the entry stands for, by
// shard.
func (e *Entry) FileMembers() map[int][]string {
	if len(e.Files) == 0 {
		return nil
	}
	members := make(map[int][]string, min(len(e.Files), Shards))
	for _, path := range e.Files {
		if !e.Includes(path) {
			continue
		}
		shard := ShardOf(path)
		members[shard] = append(members[shard], e.FileMember(path))
	}
	return members
}

// FilePrefix is how the members of a file start, and no others.
func FilePrefix(path string) string { return string(appendText(nil, path)) }

// ParseFile reads a FileMember: an entry with one file.
func ParseFile(member string) (e Entry, ok bool) {
	path, rest, ok := cutText(member)
	if !ok {
		return e, false
	}
	namespace, rest, ok := cutText(rest)
	if !ok || rest == "" {
		return e, false
	}
	id, rest, ok := cutID(rest[0], rest[1:])
	if !ok || len(rest) != versionLen {
		return e, false
	}
	e.Key = schema.Key{Namespace: namespace, ID: id}
	e.Files = []string{path}
	copy(e.Version[:], rest)
	return e, true
}

// appendText appends text with its length before it.
func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// cutText is the reverse of appendText.
func cutText(b string) (text, rest string, ok bool) {
	// The length is read from at most its longest form.
	size, n := binary.Uvarint([]byte(b[:min(len(b), binary.MaxVarintLen64)]))
	if n <= 0 || size > uint64(len(b)-n) { //nolint:gosec // n is at most len(b)
		return "", "", false
	}
	end := n + int(size) //nolint:gosec // at most len(b)
	return b[n:end], b[end:], true
}

// SameEntry reports whether two states of a session have the same entry but for its
// version.
func SameEntry(a, b *schema.Session) bool {
	return a.UserID == b.UserID && slices.Equal(a.Files, b.Files)
}
