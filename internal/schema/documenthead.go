package schema

import (
	"bytes"
	"strings"
	"time"
)

// The head of a document is what stands before its sections. Its layout is fixed,
// so that ExpiresAt can be replaced, and the head read, without reading the
// document.
const (
	headID        = `{"id":"`
	headCreatedAt = `","createdAt":"`
	headUpdatedAt = `","updatedAt":"`
	headExpiresAt = `","expiresAt":"`
	headVersion   = `","version":1,"revision":`

	timeLen = len(TimeLayout)
)

// TimeLayout is the layout of times in documents, which are in UTC.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// CreatedAtOffset returns where the digits of createdAt start in a document.
func CreatedAtOffset(id string) int { return len(headID) + len(id) + len(headCreatedAt) }

// expiresAtOffset returns where the digits of expiresAt start in a document.
func expiresAtOffset(id string) int {
	return CreatedAtOffset(id) + timeLen + len(headUpdatedAt) + timeLen + len(headExpiresAt)
}

// RevisionOffset returns where the digits of the revision start in a document.
func RevisionOffset(id string) int { return expiresAtOffset(id) + timeLen + len(headVersion) }

// Head is what the head of a document says beside the id.
type Head struct {
	CreatedAt, UpdatedAt time.Time
	// ExpiresAt is that of the last write.
	ExpiresAt time.Time
	Revision  int64
	// Len is the length of the head, with the comma that ends it.
	Len int
}

// ParseHead reads the head of the document of that id; ok is false if it is not
// laid out as Build does it. What follows the head need not be there.
func ParseHead(id, doc string) (h Head, ok bool) {
	at := RevisionOffset(id)
	if len(doc) < at {
		return Head{}, false
	}
	rest := doc
	skip := func(text string) bool {
		var found bool
		rest, found = strings.CutPrefix(rest, text)
		return found
	}
	readTime := func(t *time.Time) bool {
		var valid bool
		*t, valid = parseTime(rest[:timeLen])
		rest = rest[timeLen:]
		return valid
	}
	// The length was checked, and what is read here never runs past it.
	if !skip(headID) || !skip(id) ||
		!skip(headCreatedAt) || !readTime(&h.CreatedAt) ||
		!skip(headUpdatedAt) || !readTime(&h.UpdatedAt) ||
		!skip(headExpiresAt) || !readTime(&h.ExpiresAt) || !skip(headVersion) {
		return Head{}, false
	}
	digits, _, found := strings.Cut(rest, ",")
	if !found {
		return Head{}, false
	}
	h.Len = at + len(digits) + len(",")
	h.Revision, ok = ParseDigits(digits)
	return h, ok
}

// HeadLen returns the length of the head of the document, with the comma that
// ends it.
func (s *Session) HeadLen() int {
	at := RevisionOffset(s.ID)
	return at + bytes.IndexByte(s.Doc[at:], ',') + len(",")
}

// DocUserID returns user.id as the document spells it, with its escapes and
// without its quotes, and where it ends. head is the length of the head. ok is
// false where there is no user, and where its first member is not its id.
func DocUserID(doc []byte, head int) (id []byte, end int, ok bool) {
	const before = `"user":` + headID
	rest, ok := bytes.CutPrefix(doc[head:], []byte(before))
	if !ok {
		return nil, 0, false
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return rest[:i:i], head + len(before) + i, true
		case '\\':
			i++
		}
	}
	return nil, 0, false
}

// DocID returns the id in a document, or nil if it does not start as a document
// does. The bytes are the document's own.
func DocID(doc []byte) []byte {
	rest, ok := bytes.CutPrefix(doc, []byte(headID))
	if !ok {
		return nil
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return nil
	}
	return rest[:end:end]
}

// ParseDigits reads a decimal number without a sign, of at most 15 digits: as
// documents have revisions, which every reader of JSON then holds exactly.
func ParseDigits(text string) (n int64, ok bool) {
	if text == "" || len(text) > 15 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(text[i]-'0')
	}
	return n, true
}

// parseTime reads a time in the one form that documents have it in.
func parseTime(text string) (t time.Time, ok bool) {
	if len(text) != timeLen || text[timeLen-5] != '.' || text[timeLen-1] != 'Z' {
		return time.Time{}, false
	}
	err := t.UnmarshalText([]byte(text))
	return t, err == nil
}

// appendTime appends t as RFC 3339 in UTC with milliseconds, always timeLen bytes
// for the years 0 to 9999. AppendFormat parses the layout each time and takes longer
// than the rest of a read.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, TimeLayout)
	}
	hour, minute, second := t.Clock()
	dst = appendTwoDigits(appendTwoDigits(dst, year/100), year%100)
	dst = appendTwoDigits(append(dst, '-'), int(month))
	dst = appendTwoDigits(append(dst, '-'), day)
	dst = appendTwoDigits(append(dst, 'T'), hour)
	dst = appendTwoDigits(append(dst, ':'), minute)
	dst = appendTwoDigits(append(dst, ':'), second)
	milli := t.Nanosecond() / int(time.Millisecond)
	dst = appendTwoDigits(append(dst, '.'), milli/10)
	return append(dst, byte('0'+milli%10), 'Z')
}

// appendTwoDigits appends n, which is 0 to 99.
func appendTwoDigits(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10)) //nolint:gosec // digits
}
