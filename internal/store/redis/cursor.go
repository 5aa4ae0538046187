package redis

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// position is a place in the order of a list: newest first, then by id. The
// session that it is named after need not exist any more.
type position struct {
	created int64 // ms
	id      string
}

// start is before every session.
var start = position{created: ageMax}

// before reports whether p comes before o.
func (p position) before(o position) bool {
	return p.created > o.created || p.created == o.created && p.id < o.id
}

// from returns where, in an index by age, the members of that form begin that
// may come after the position. As a rule all of them do: only others of the
// same millisecond may not, where the position's id has another form.
func (p position) from(form byte) string {
	b := appendAge([]byte{'[', form}, p.created)
	if p.id == "" || formOf(p.id) != form {
		return string(b)
	}
	b[0] = '('
	b = appendID(b, p.id)
	return string(b) + strings.Repeat("\xff", stampLen+1) // after all stamps
}

// A cursor is the position of a page's last session: a version byte, a digest
// of the query's namespace and user, the creation time in milliseconds, the
// id; in base64url. The digest is there to notice mistakes, not attacks: a
// forged cursor shows nothing that the query would not show without one.
const (
	cursorVersion = 1
	cursorHead    = 1 + 8 + 8
)

var cursorEncoding = base64.RawURLEncoding.Strict()

func encodeCursor(q store.Query, last position) string {
	b := make([]byte, 0, cursorHead+len(last.id))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, queryDigest(q))
	b = binary.BigEndian.AppendUint64(b, uint64(last.created)) //nolint:gosec // read back the same way
	b = append(b, last.id...)
	return cursorEncoding.EncodeToString(b)
}

func decodeCursor(q store.Query) (position, error) {
	b, err := cursorEncoding.DecodeString(q.Cursor)
	// DecodeString skips line breaks, even when it is strict.
	if err != nil || cursorEncoding.EncodeToString(b) != q.Cursor {
		return position{}, store.ErrBadCursor
	}
	if len(b) <= cursorHead || b[0] != cursorVersion || binary.BigEndian.Uint64(b[1:]) != queryDigest(q) {
		return position{}, store.ErrBadCursor
	}
	p := position{
		created: int64(binary.BigEndian.Uint64(b[9:])), //nolint:gosec // written the same way
		id:      string(b[cursorHead:]),
	}
	if !schema.ValidForeignID(p.id) || p.created < 0 || p.created > ageMax {
		return position{}, store.ErrBadCursor
	}
	return p, nil
}

// queryDigest tells queries over different sessions apart. The limit may
// change from page to page.
func queryDigest(q store.Query) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(q.Namespace)) // never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(q.UserID))
	return h.Sum64()
}
