package redis

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// A value is what a session's key holds: the document, with one more member at
// its end, the trailer, for what the document does not say.
//
//	{"id":"...",...,"meta":{},"stored":{"index":"<stamp>","idleMs":86400000}}
//
// Where the document is large, what follows the user's id is compressed, and a mark
// that no JSON starts with stands before it:
//
//	\0zst{"id":"...","createdAt":"...",...,"revision":7,"user":{"id":"ada"<zstd>,"stored":{...}}
//
// Before any of that, a session that is about to become the successor of
// another has a mark of its own, and its deadline in 15 digits: it is nobody's
// session yet.
//
//	\0new001795280000000{"id":"...
const (
	markZstd    = "\x00zst"
	markPending = "\x00new"

	pendingDigits = 15
	pendingLen    = len(markPending) + pendingDigits
)

// The document's head, as package schema lays it out.
const (
	headID        = `{"id":"`
	headCreatedAt = `","createdAt":"`
	headUpdatedAt = `","updatedAt":"`
	headExpiresAt = `","expiresAt":"`
	headVersion   = `","version":1,"revision":`
	headUser      = `"user":`

	timeLayout = "2006-01-02T15:04:05.000Z"
	timeLen    = len(timeLayout)
)

// createdOffset is where the digits of createdAt start in a document.
func createdOffset(id string) int { return len(headID) + len(id) + len(headCreatedAt) }

// revisionOffset is where the digits of the revision start.
func revisionOffset(id string) int {
	return createdOffset(id) + timeLen + len(headUpdatedAt) + timeLen + len(headExpiresAt) + timeLen + len(headVersion)
}

// The trailer, in the order of its members. "bytes" is the document's size, in
// compressed values only; "files" are the stamps of its references to files where they
// have more than one, see fileStamps; "birth" is the session's life, which it keeps through
// all changes; without it, in values of an earlier version, "index" is the life,
// too. "ownMs" is left out where it is 0. Its end, the
// terms, is what a change of the idle life changes.
const (
	trailerStart = `,"stored":{`
	trailerBytes = `"bytes":`
	trailerFiles = `"files":"`
	trailerIndex = `"index":"`
	trailerBirth = `,"birth":"`
	trailerIdle  = `,"idleMs":`
	trailerOwn   = `,"ownMs":`
	trailerEnd   = `}}`

	// trailerMax is longer than any trailer, and trailerUsual than one without
	// the stamps of files.
	trailerMax   = trailerUsual + len(trailerFiles) + fileStampsText + len(`",`)
	trailerUsual = 200
)

// terms is the end of the value of a session with these idle lives.
func terms(ttl, ownTTL time.Duration) string {
	b := make([]byte, 0, 48)
	b = append(b, trailerIdle...)
	b = strconv.AppendInt(b, ttl.Milliseconds(), 10)
	if ownTTL != 0 {
		b = append(b, trailerOwn...)
		b = strconv.AppendInt(b, ownTTL.Milliseconds(), 10)
	}
	return string(append(b, trailerEnd...))
}

// encoded is a value in the making: its trailer lacks what depends on the
// stored session.
type encoded struct {
	// body is the value up to the trailer.
	body []byte
	// lead is what the trailer starts with.
	lead string
	// birth is what a new session's value names.
	birth stamp
}

// encode returns the value of a session, up to its stamps.
func (c *codec) encode(sess *schema.Session) encoded {
	doc := sess.Doc[:len(sess.Doc)-1] // the final brace closes the trailer
	if body := c.compress(doc, plainEnd(sess)); body != nil {
		return encoded{body: body, lead: trailerStart + trailerBytes + strconv.Itoa(len(sess.Doc)) + ",", birth: birthOf(sess.Life)}
	}
	return encoded{body: doc, lead: trailerStart, birth: birthOf(sess.Life)}
}

// revisionEnd is where the document's head ends: after the comma that follows
// the revision.
func revisionEnd(sess *schema.Session) int {
	end := revisionOffset(sess.ID)
	return end + bytes.IndexByte(sess.Doc[end:], ',') + 1
}

// value returns the whole value of a new session.
func (e encoded) value(s stamp, terms string) []byte {
	b := make([]byte, 0, len(e.body)+len(e.lead)+len(trailerIndex)+len(trailerBirth)+2*(stampText+1)+len(terms))
	b = append(b, e.body...)
	b = append(b, e.lead...)
	b = append(b, trailerIndex...)
	b = stampEncoding.AppendEncode(b, s[:])
	b = append(b, '"')
	b = append(b, trailerBirth...)
	b = stampEncoding.AppendEncode(b, e.birth[:])
	b = append(b, '"')
	return append(b, terms...)
}

// pending returns the value of a session that is about to become a successor,
// and then to live until the deadline.
func pending(value []byte, deadline int64) []byte {
	b := make([]byte, 0, pendingLen+len(value))
	b = append(b, markPending...)
	digits := strconv.FormatInt(deadline, 10)
	b = append(b, strings.Repeat("0", max(0, pendingDigits-len(digits)))...)
	b = append(b, digits...)
	return append(b, value...)
}

// stored is a value, read.
type stored struct {
	// sess has no ExpiresAt where it is not pending: that is the key's own.
	sess schema.Session
	trailer
	pending bool
	// foreign: another program wrote it, and index is not a stamp of its entries.
	foreign bool
	// damaged: there is something that is no session. Nothing else is set.
	damaged bool
	// written is the deadline that the document names, in ms: what it was when
	// the document was written, or later.
	written int64
}

// trailer is what a value says beside the document.
type trailer struct {
	index, birth stamp
	files        *fileStamps // nil where all have the stamp index
	bytes        int
	idle, own    time.Duration
}

// errForeign: a key that should hold a session holds something else.
var errForeign = errors.New("the key holds no session")

// decode reads the value of a key into st, which must be zero. It copies what
// it keeps.
func (c *codec) decode(key backend.Key, value string, st *stored) error {
	if rest, ok := strings.CutPrefix(value, markPending); ok {
		if len(rest) < pendingDigits {
			return errForeign
		}
		deadline, ok := parseDigits(rest[:pendingDigits])
		if !ok {
			return errForeign
		}
		st.pending = true
		st.sess.ExpiresAt = time.UnixMilli(deadline).UTC()
		value = rest[pendingDigits:]
	}
	body, tail, ok := cutTrailer(value)
	if !ok {
		return errForeign
	}
	if st.trailer, ok = parseTrailer(tail); !ok {
		return errForeign
	}
	st.sess.Namespace, st.sess.ID = key.Namespace, key.ID
	st.sess.Life = schema.Life(st.birth)
	st.sess.TTL, st.sess.OwnTTL = st.idle, st.own
	body, compressed := strings.CutPrefix(body, markZstd)
	end, ok := st.readHead(body)
	if !ok {
		return errForeign
	}
	if compressed {
		var err error
		if st.sess.Doc, err = c.decompress(body, compressedFrom(body, end), st.bytes); err != nil {
			return err
		}
	} else {
		st.sess.Doc = make([]byte, 0, len(body)+1)
		st.sess.Doc = append(st.sess.Doc, body...)
	}
	st.sess.Doc = append(st.sess.Doc, '}')
	return st.readIndexed(end)
}

// entryOf returns the entry of the session in a value.
func (c *codec) entryOf(key backend.Key, value string) (entry, error) {
	var st stored
	if err := c.decode(key, value, &st); err != nil {
		return entry{}, err
	}
	e := entryOf(&st.sess, st.index)
	e.fileStamps = st.trailer.files
	return e, nil
}

// readHead reads what the head of the document says. It returns where the head
// ends.
func (st *stored) readHead(doc string) (end int, ok bool) {
	at := revisionOffset(st.sess.ID)
	if len(doc) < at {
		return 0, false
	}
	rest := doc
	cut := func(text string) bool {
		var found bool
		rest, found = strings.CutPrefix(rest, text)
		return found
	}
	cutTime := func(t *time.Time) bool {
		var valid bool
		*t, valid = parseTime(rest[:timeLen])
		rest = rest[timeLen:]
		return valid
	}
	var expires time.Time
	// The length was checked, and what is cut here never runs past it.
	if !cut(headID) || !cut(st.sess.ID) ||
		!cut(headCreatedAt) || !cutTime(&st.sess.CreatedAt) ||
		!cut(headUpdatedAt) || !cutTime(&st.sess.UpdatedAt) ||
		!cut(headExpiresAt) || !cutTime(&expires) || !cut(headVersion) {
		return 0, false
	}
	st.written = expires.UnixMilli()
	digits, _, found := strings.Cut(rest, ",")
	if !found {
		return 0, false
	}
	st.sess.Revision, ok = parseDigits(digits)
	return at + len(digits) + 1, ok
}

// readIndexed reads from the document what the indexes are made of.
func (st *stored) readIndexed(head int) error {
	var err error
	if st.sess.UserID, err = userID(&st.sess, head); err != nil {
		return err
	}
	if st.index.fits(st.sess.UserID, nil) {
		return nil // no files: there is no need to look for them
	}
	sections, err := st.sess.Sections()
	if err != nil {
		return err
	}
	st.sess.Files = schema.FileRefs(sections.Results)
	return nil
}

// userID returns user.id. Only where it is not plain text is the user parsed.
func userID(sess *schema.Session, head int) (string, error) {
	rest, ok := bytes.CutPrefix(sess.Doc[head:], []byte(headUser))
	switch {
	case !ok:
		return "", errForeign
	case bytes.HasPrefix(rest, []byte("null")):
		return "", nil
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(headID)); ok {
		if end := bytes.IndexAny(rest, `"\`); end >= 0 && rest[end] == '"' {
			return string(rest[:end]), nil
		}
	}
	user, err := sess.User()
	if err != nil || user == nil {
		return "", err
	}
	return user.ID, nil
}

// cutTrailer splits a value, without its marks, before its trailer.
func cutTrailer(value string) (body, tail string, ok bool) {
	from := max(0, len(value)-trailerMax)
	at := strings.LastIndex(value[from:], trailerStart)
	if at < 0 {
		return "", "", false
	}
	return value[:from+at], value[from+at:], true
}

// parseTrailer reads a trailer from its start.
func parseTrailer(text string) (t trailer, ok bool) {
	rest, ok := strings.CutPrefix(text, trailerStart)
	if !ok {
		return t, false
	}
	if after, found := strings.CutPrefix(rest, trailerBytes); found {
		digits, after, found := strings.Cut(after, ",")
		size, valid := parseDigits(digits)
		if !found || !valid {
			return t, false
		}
		t.bytes, rest = int(size), after
	}
	if after, found := strings.CutPrefix(rest, trailerFiles); found {
		text, after, found := strings.Cut(after, `",`)
		if t.files, ok = parseFileStamps(text); !found || !ok || t.files == nil {
			return t, false
		}
		rest = after
	}
	cutStamp := func(name string) (s stamp, ok bool) {
		after, ok := strings.CutPrefix(rest, name)
		if !ok || len(after) <= stampText || after[stampText] != '"' {
			return s, false
		}
		rest = after[stampText+1:]
		return parseStamp(after[:stampText])
	}
	cutMillis := func(name string) (d time.Duration, ok bool) {
		after, ok := strings.CutPrefix(rest, name)
		if !ok {
			return 0, false
		}
		end := strings.IndexAny(after, ",}")
		if end < 0 {
			return 0, false
		}
		rest = after[end:]
		ms, ok := parseDigits(after[:end])
		return time.Duration(ms) * time.Millisecond, ok && ms <= int64(maxTTL/time.Millisecond)
	}
	if t.index, ok = cutStamp(trailerIndex); !ok {
		return t, false
	}
	t.birth = t.index
	if strings.HasPrefix(rest, trailerBirth) {
		if t.birth, ok = cutStamp(trailerBirth); !ok {
			return t, false
		}
	}
	if t.idle, ok = cutMillis(trailerIdle); !ok {
		return t, false
	}
	if strings.HasPrefix(rest, trailerOwn) {
		if t.own, ok = cutMillis(trailerOwn); !ok {
			return t, false
		}
	}
	return t, rest == trailerEnd
}

// maxTTL is the longest idle life that is read: far more than any setting.
const maxTTL = 200 * 365 * 24 * time.Hour

// parseDigits reads a number of at most 15 digits.
func parseDigits(text string) (n int64, ok bool) {
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

// parseTime reads a time as documents have it.
func parseTime(text string) (time.Time, bool) {
	number := func(from, to int) int {
		n, ok := parseDigits(text[from:to])
		if !ok {
			return -1
		}
		return int(n)
	}
	if text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[19] != '.' || text[23] != 'Z' {
		return time.Time{}, false
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, milli := number(11, 13), number(14, 16), number(17, 19), number(20, 23)
	if year < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || milli < 0 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, milli*1_000_000, time.UTC)
	return t, t.Month() == time.Month(month) && t.Day() == day
}
