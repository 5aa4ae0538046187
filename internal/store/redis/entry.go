package redis

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// entry is what the indexes know of a session: one member in each index that it
// is in, all under one stamp.
type entry struct {
	key     backend.Key
	created int64 // ms
	user    string
	files   []string
	stamp   stamp
	// fileStamps are those of the members in the index by file, where they have
	// more than the one; nil otherwise.
	fileStamps *fileStamps
	// only are the shards of that index whose members are meant, where the
	// session keeps those in the others; nil for all.
	only *[shards]bool
	// birth is the session's. No index has it: it is zero in an entry that was
	// read from one.
	birth stamp
}

// entryOf returns the entry of a session under the stamp.
func entryOf(sess *schema.Session, s stamp) entry {
	return entry{
		key:     sess.Key(),
		created: sess.CreatedAt.UnixMilli(),
		user:    sess.UserID,
		files:   sess.Files,
		stamp:   s,
		birth:   birthOf(sess.Life),
	}
}

// Members are compact, because there is one of each for every session. An id
// that the service made is stored as its 32 bytes; that also keeps the index of
// a user with few sessions in Redis's compact form, which takes members of up
// to 64 bytes.
const (
	idHex  = 'h' // 32 bytes
	idText = 't' // as it is, and a zero byte

	hexLen  = 32
	ageLen  = 6
	ageMax  = 1<<48 - 1
	ageHead = 1 + ageLen // of an age member: the form of the id, the age
)

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
	age := uint64(ageMax - min(max(created, 0), ageMax))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], age)
	return append(dst, b[8-ageLen:]...)
}

func readAge(b string) (created int64) {
	var buf [8]byte
	copy(buf[8-ageLen:], b[:ageLen])
	return ageMax - int64(binary.BigEndian.Uint64(buf[:])) //nolint:gosec // 48 bits
}

// ageMember is the member in the indexes by age: that of the namespace and that
// of the user. Members of one form order newest first, then by id.
func (e *entry) ageMember() string {
	b := make([]byte, 0, ageHead+hexLen+stampLen)
	b = append(b, formOf(e.key.ID))
	b = appendAge(b, e.created)
	b = appendID(b, e.key.ID)
	return string(append(b, e.stamp[:]...))
}

// parseAge reads an ageMember. The key's namespace is that of the index.
func parseAge(namespace, member string) (e entry, ok bool) {
	if len(member) < ageHead {
		return e, false
	}
	e.created = readAge(member[1:])
	id, rest, ok := cutID(member[0], member[ageHead:])
	if !ok || len(rest) != stampLen {
		return e, false
	}
	e.key = backend.Key{Namespace: namespace, ID: id}
	copy(e.stamp[:], rest)
	return e, true
}

// maxListed is how many bytes of paths an expiry member lists. A session that
// refers to more, or whose references have several stamps, has its entries in the index by file removed by whoever reads
// those, once it has expired.
const maxListed = 1 << 10

// expiryMember is the member in the index by deadline. It holds all that is
// needed to find the other members once the session is gone.
func (e *entry) expiryMember() string {
	listed := 0
	for _, path := range e.files {
		listed += len(path)
	}
	if e.fileStamps != nil {
		listed = maxListed + 1 // it has but the one stamp
	}
	b := make([]byte, 0, 64+len(e.key.ID)+len(e.user)+min(listed, maxListed))
	b = append(b, e.stamp[:]...)
	b = appendAge(b, e.created)
	b = appendText(b, e.key.Namespace)
	b = append(b, formOf(e.key.ID))
	b = appendID(b, e.key.ID)
	b = appendText(b, e.user)
	if listed <= maxListed {
		for _, path := range e.files {
			b = appendText(b, path)
		}
	}
	return string(b)
}

// parseExpiry reads an expiryMember.
func parseExpiry(member string) (e entry, ok bool) {
	if len(member) < stampLen+ageLen {
		return e, false
	}
	copy(e.stamp[:], member)
	e.created = readAge(member[stampLen:])
	namespace, rest, ok := cutText(member[stampLen+ageLen:])
	if !ok || rest == "" {
		return e, false
	}
	id, rest, ok := cutID(rest[0], rest[1:])
	if !ok {
		return e, false
	}
	e.key = backend.Key{Namespace: namespace, ID: id}
	if e.user, rest, ok = cutText(rest); !ok {
		return e, false
	}
	for rest != "" {
		var path string
		if path, rest, ok = cutText(rest); !ok {
			return e, false
		}
		e.files = append(e.files, path)
	}
	return e, true
}

// fileMember is the member in the index by file. Those of one file are next to
// each other: they start with filePrefix, and nothing else does.
func (e *entry) fileMember(path string) string {
	b := make([]byte, 0, len(path)+len(e.key.Namespace)+64)
	b = appendText(b, path)
	b = appendText(b, e.key.Namespace)
	b = append(b, formOf(e.key.ID))
	b = appendID(b, e.key.ID)
	s := e.fileStamp(path)
	return string(append(b, s[:]...))
}

func filePrefix(path string) string { return string(appendText(nil, path)) }

// parseFile reads a fileMember: an entry with one file.
func parseFile(member string) (e entry, ok bool) {
	path, rest, ok := cutText(member)
	if !ok {
		return e, false
	}
	namespace, rest, ok := cutText(rest)
	if !ok || rest == "" {
		return e, false
	}
	id, rest, ok := cutID(rest[0], rest[1:])
	if !ok || len(rest) != stampLen {
		return e, false
	}
	e.key = backend.Key{Namespace: namespace, ID: id}
	e.files = []string{path}
	copy(e.stamp[:], rest)
	return e, true
}

// appendText appends text with its length before it.
func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func cutText(b string) (text, rest string, ok bool) {
	// The length is read from at most its longest form.
	size, n := binary.Uvarint([]byte(b[:min(len(b), binary.MaxVarintLen64)]))
	if n <= 0 || size > uint64(len(b)-n) { //nolint:gosec // n is at most len(b)
		return "", "", false
	}
	end := n + int(size) //nolint:gosec // at most len(b)
	return b[n:end], b[end:], true
}

// sameIndexes reports whether two states of a session have the same entry.
func sameIndexes(a, b *schema.Session) bool {
	return a.UserID == b.UserID && slices.Equal(a.Files, b.Files)
}
