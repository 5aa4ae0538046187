package format

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"session-api/internal/schema"
)

// A value is what a session's key holds: the document, with one more member at
// its end, the trailer, for what the document does not say.
//
//	{"id":"...",...,"meta":{},"stored":{"index":"<version>","birth":"<life>","idleMs":86400000}}
//
// The session's facts stand before the trailer: see facts.go.
//
// Where the document is large, what follows the user's id is compressed, and a mark
// that no JSON starts with stands before it:
//
//	\0zst{"id":"...","createdAt":"...",...,"revision":7,"user":{"id":"ada"<zstd>,"stored":{...}}
//
// Before any of that, a session that is about to become the successor of
// another has a mark of its own, and its deadline in 15 digits: readers do not
// take it for a session yet.
//
//	\0new001795280000000{"id":"...
const (
	markZstd = "\x00zst"

	// MarkPending starts the value of a pending session.
	MarkPending = "\x00new"

	pendingDigits = 15
	pendingLen    = len(MarkPending) + pendingDigits
)

// Value is a session's value, decoded.
type Value struct {
	// Session has no ExpiresAt where it is not pending: that is the key's own.
	Session schema.Session
	Trailer
	// Pending: the session is about to become the successor of another.
	Pending bool
	// External: another program wrote it, and Index is not the version of its
	// entries.
	External bool
	// Damaged: the key holds something that is no session. No other field is set.
	Damaged bool
	// Written is the deadline that the document has, in ms: what it was when the
	// document was written, or later.
	Written int64
}

// Encoded is a value without what depends on the stored session: the versions of
// its entries and its life.
type Encoded struct {
	// Body is the value up to the trailer.
	Body []byte
	// TrailerStart is how the trailer starts, with the facts before it.
	TrailerStart string

	life schema.Life
}

// Encode returns the value of a session up to its versions.
func (c *Codec) Encode(sess *schema.Session) Encoded {
	doc := sess.Doc[:len(sess.Doc)-1] // the final brace closes the trailer
	start := trailerStart
	if sess.Facts != (schema.Facts{}) {
		start = factsStart + sess.Facts.String() + trailerStart
	}
	if body := c.compress(doc, plainEnd(sess)); body != nil {
		return Encoded{Body: body, TrailerStart: start + trailerBytes + strconv.Itoa(len(sess.Doc)) + ",", life: sess.Life}
	}
	return Encoded{Body: doc, TrailerStart: start, life: sess.Life}
}

// Len is the length of the value but for what follows the start of the trailer.
func (e Encoded) Len() int { return len(e.Body) + len(e.TrailerStart) }

// Value returns the whole value of a new session, whose entries have that version
// and whose value has that end.
func (e Encoded) Value(index Version, end string) []byte {
	b := make([]byte, 0, len(e.Body)+len(e.TrailerStart)+len(trailerIndex)+len(trailerLife)+2*(versionText+1)+len(end))
	b = append(b, e.Body...)
	b = append(b, e.TrailerStart...)
	b = append(b, trailerIndex...)
	b = versionEncoding.AppendEncode(b, index[:])
	b = append(b, '"')
	b = append(b, trailerLife...)
	b = append(b, e.life.String()...)
	b = append(b, '"')
	return append(b, end...)
}

// Stored returns what Decode makes of the value of a session whose entries have that
// version. The document is one that passes Check.
func Stored(sess *schema.Session, index Version) (Value, error) {
	head, ok := schema.ParseHead(sess.ID, string(sess.Doc[:sess.HeadLen()]))
	if !ok {
		return Value{}, ErrLayout
	}
	v := Value{Trailer: Trailer{Index: index, Life: sess.Life, TTL: sess.TTL, OwnTTL: sess.OwnTTL, facts: markOf(sess.Facts.String())}, Written: head.ExpiresAt.UnixMilli()}
	v.Session = schema.Session{
		Namespace: sess.Namespace, ID: sess.ID, Life: sess.Life, CreatedAt: head.CreatedAt, UpdatedAt: head.UpdatedAt, Revision: head.Revision,
		TTL: sess.TTL, OwnTTL: sess.OwnTTL, Facts: sess.Facts, UserID: sess.UserID, Files: sess.Files, Doc: sess.Doc,
	}
	return v, nil
}

// Subject returns what events say of a session whose document that is: the user's id as
// the document spells it, with its escapes, empty for none; and the revision.
func Subject(sess *schema.Session) (user, revision string) {
	id, _, _ := schema.DocUserID(sess.Doc, sess.HeadLen())
	return string(id), strconv.FormatInt(sess.Revision, 10)
}

// Marks returns the parts of a value of that session by which the version is known: of
// the document's head, where it stands in the value, and the trailer.
func Marks(sess *schema.Session, value string) (head string, at int, trailer string, ok bool) {
	_, trailer, ok = cutTrailer(value)
	at = schema.CreatedAtOffset(sess.ID)
	end := sess.HeadLen()
	if strings.HasPrefix(value, markZstd) {
		at, end = at+len(markZstd), end+len(markZstd)
	}
	if !ok || end > len(value) {
		return "", 0, "", false
	}
	return value[at:end], at, trailer, true
}

// Pending returns the value of a session that is about to become a successor,
// and then to live until the deadline.
func Pending(value []byte, deadline int64) []byte {
	b := make([]byte, 0, pendingLen+len(value))
	b = append(b, MarkPending...)
	digits := strconv.FormatInt(deadline, 10)
	b = append(b, strings.Repeat("0", max(0, pendingDigits-len(digits)))...)
	b = append(b, digits...)
	return append(b, value...)
}

// ErrNotSession: a key that should hold a session holds something else.
var ErrNotSession = errors.New("the key holds no session")

// Decode reads the value of a key into v, which must be zero. It copies what it
// keeps.
func (c *Codec) Decode(key schema.Key, value string, v *Value) error {
	if rest, ok := strings.CutPrefix(value, MarkPending); ok {
		if len(rest) < pendingDigits {
			return ErrNotSession
		}
		deadline, ok := schema.ParseDigits(rest[:pendingDigits])
		if !ok {
			return ErrNotSession
		}
		v.Pending = true
		v.Session.ExpiresAt = time.UnixMilli(deadline).UTC()
		value = rest[pendingDigits:]
	}
	body, tail, ok := cutTrailer(value)
	if !ok {
		return ErrNotSession
	}
	if v.Trailer, ok = parseTrailer(tail); !ok {
		return ErrNotSession
	}
	if body, v.Session.Facts, ok = v.facts.cutFacts(body); !ok {
		return ErrNotSession
	}
	body, compressed := strings.CutPrefix(body, markZstd)
	head, ok := schema.ParseHead(key.ID, body)
	if !ok {
		return ErrNotSession
	}
	v.Session.Namespace, v.Session.ID, v.Session.Life = key.Namespace, key.ID, v.Life
	v.Session.CreatedAt, v.Session.UpdatedAt, v.Session.Revision = head.CreatedAt, head.UpdatedAt, head.Revision
	v.Session.TTL, v.Session.OwnTTL = v.TTL, v.OwnTTL
	v.Written = head.ExpiresAt.UnixMilli()
	if compressed {
		var err error
		if v.Session.Doc, err = c.decompress(body, compressedFrom(body, head.Len), v.DocumentLen); err != nil {
			return err
		}
	} else {
		v.Session.Doc = make([]byte, 0, len(body)+1)
		v.Session.Doc = append(v.Session.Doc, body...)
	}
	v.Session.Doc = append(v.Session.Doc, '}')
	return v.readIndexed(head.Len)
}

// Entry returns the index entry of the session in a value.
func (c *Codec) Entry(key schema.Key, value string) (Entry, error) {
	var v Value
	if err := c.Decode(key, value, &v); err != nil {
		return Entry{}, err
	}
	e := NewEntry(&v.Session, v.Index)
	e.FileVersions = v.Files
	return e, nil
}

// readIndexed reads what is indexed from the document, whose head is so long.
func (v *Value) readIndexed(head int) error {
	var err error
	if v.Session.UserID, err = userID(&v.Session, head); err != nil {
		return err
	}
	if v.Index.Fits(v.Session.UserID, nil) {
		return nil // no files: there is no need to look for them
	}
	sections, err := v.Session.Sections()
	if err != nil {
		return err
	}
	v.Session.Files = schema.FileRefs(sections.Results)
	return nil
}

// userID returns user.id. The user is parsed only where its id has escapes.
func userID(sess *schema.Session, head int) (string, error) {
	if id, _, ok := schema.DocUserID(sess.Doc, head); ok && bytes.IndexByte(id, '\\') < 0 {
		return string(id), nil
	}
	user, err := sess.User()
	if err != nil || user == nil {
		return "", err
	}
	return user.ID, nil
}

// ErrLayout: a document is not laid out as package schema does it. None that was
// made from a request is.
var ErrLayout = errors.New("the session's document has another layout")

// Check returns ErrLayout for a session that could not be decoded again.
func Check(sess *schema.Session) error {
	if string(schema.DocID(sess.Doc)) != sess.ID || len(sess.Doc) < schema.RevisionOffset(sess.ID) || sess.Doc[len(sess.Doc)-1] != '}' {
		return ErrLayout
	}
	return nil
}
