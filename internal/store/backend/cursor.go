package backend

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"session-api/internal/schema"
)

// A cursor is the position of a page's last session: a version byte, a digest
// of the query's namespace and user, the creation time in milliseconds, the
// id; in base64url. The digest is there to notice mistakes, not attacks: a
// forged cursor shows nothing that the query would not show without one.
const (
	cursorVersion = 1
	cursorHead    = 1 + 8 + 8
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// EncodeCursor returns the cursor of the page after a session that was created
// at that time, in ms, and has that id.
func EncodeCursor(q Query, created int64, id string) string {
	b := make([]byte, 0, cursorHead+len(id))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, queryDigest(q))
	b = binary.BigEndian.AppendUint64(b, uint64(created)) //nolint:gosec // read back the same way
	b = append(b, id...)
	return cursorEncoding.EncodeToString(b)
}

// DecodeCursor returns what the query's cursor was made of, or ErrBadCursor.
func DecodeCursor(q Query) (created int64, id string, err error) {
	b, err := cursorEncoding.DecodeString(q.Cursor)
	// DecodeString skips line breaks, even when it is strict.
	if err != nil || cursorEncoding.EncodeToString(b) != q.Cursor {
		return 0, "", ErrBadCursor
	}
	if len(b) <= cursorHead || b[0] != cursorVersion || binary.BigEndian.Uint64(b[1:]) != queryDigest(q) {
		return 0, "", ErrBadCursor
	}
	created = int64(binary.BigEndian.Uint64(b[9:])) //nolint:gosec // written the same way
	id = string(b[cursorHead:])
	if !schema.ValidForeignID(id) {
		return 0, "", ErrBadCursor
	}
	return created, id, nil
}

// queryDigest tells queries over different sessions apart. The limit may
// change from page to page.
func queryDigest(q Query) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(q.Namespace)) // never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(q.UserID))
	if q.OldestFirst || q.Created != (Span{}) { // a cursor of any other query is as it always was
		after, before := q.Created.Millis()
		_, _ = fmt.Fprintf(h, "\x00%d %d %t", after, before, q.OldestFirst)
	}
	return h.Sum64()
}
