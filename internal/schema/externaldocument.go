package schema

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeForeign decodes the document of the session id as another program may have
// written it: in any layout; with sections left out, null, or [] for an empty object;
// with times as RFC 3339 in any precision and zone, or as milliseconds since 1970;
// without updatedAt, expiresAt, version and revision. createdAt is required, and id,
// if present, must be the session's. Unknown members are an error: dropping them
// would lose data of the other program at the next change. So is a document larger
// than MaxBytes. No other rule applies.
//
// The returned session has no Doc, and has ExpiresAt, TTL, OwnTTL and Facts only if the
// document says so. Build completes it with the sections.
func (r *Rules) DecodeForeign(id string, doc []byte) (Session, Sections, error) {
	if r.MaxBytes > 0 && len(doc) > r.MaxBytes {
		return Session{}, Sections{}, &Error{Code: CodeTooLarge, Detail: "the document is larger than " + strconv.Itoa(r.MaxBytes) + " bytes"}
	}
	if err := checkSyntax(doc, jsontext.KindBeginObject); err != nil {
		return Session{}, Sections{}, err
	}
	d := foreignDecoder{recordDecoder: recordDecoder{
		normalizer: normalizer{rules: &Rules{Sanitize: SanitizeOff}, src: doc, dst: make([]byte, 0, len(doc)), loc: make(path, 0, 8)},
		sess:       Session{ID: id, Revision: 1},
		sections:   EmptySections(),
	}}
	d.skipSpace()
	for m := range d.members() {
		if err := d.member(string(m), sectionOf(m)); err != nil {
			return Session{}, Sections{}, err
		}
	}
	if d.sess.CreatedAt.IsZero() {
		d.add("/createdAt", "is required")
	}
	if err := d.err(); err != nil {
		return Session{}, Sections{}, fmt.Errorf("a document of another program: %w", err)
	}
	if d.sess.UpdatedAt.IsZero() {
		d.sess.UpdatedAt = d.sess.CreatedAt
	}
	return d.sess, d.sections, nil
}

// foreignDecoder decodes documents of other programs.
type foreignDecoder struct{ recordDecoder }

// member decodes a member of the document.
func (d *foreignDecoder) member(name string, i section) error {
	d.skipNameCheck = i == sectionUser || name == storedMember || name == factsMember
	value, err := d.appendValue(2)
	d.skipNameCheck = false
	if err != nil {
		return err
	}
	switch {
	case i == sectionUser:
		if !jsonscan.IsNull(value) {
			d.sections.User = readUserPatch(value, &d.fieldErrors).whole(&d.fieldErrors)
		}
	case i != noSection:
		switch {
		case value.Kind() == jsontext.KindBeginObject:
			*d.sections.freeForm(i) = value
		case !jsonscan.IsNull(value) && string(value) != "[]":
			d.addError("must be an object")
		}
	default:
		d.head(name, value)
	}
	return nil
}

// storedMember and factsMember are members that the store on Redis adds to documents.
// Programs that read a document and write it back keep them.
const (
	storedMember = "stored"
	factsMember  = "facts"
)

// head decodes a member of the document that is not a section. null counts as
// absent.
func (d *foreignDecoder) head(name string, value jsontext.Value) {
	if jsonscan.IsNull(value) && name != "id" {
		return
	}
	switch name {
	case "id":
		if value.Kind() != jsontext.KindString || string(jsonscan.Unquote(value)) != d.sess.ID {
			d.addError("must be the id that the session is stored under")
		}
	case "createdAt":
		d.sess.CreatedAt = d.time(value)
	case "updatedAt":
		d.sess.UpdatedAt = d.time(value)
	case "expiresAt":
		d.sess.ExpiresAt = d.time(value)
	case "version", "revision":
		d.recordDecoder.head(name, value)
	case storedMember:
	case factsMember:
		var wrong fieldErrors // facts are no part of the document: what is wrong with them is dropped
		if facts := readFacts(value, &wrong); len(wrong) == 0 {
			d.sess.Facts = facts
		}
	default:
		d.addError("is not a member of a session")
	}
}

// time reads a time in any usual form, to the millisecond.
func (d *foreignDecoder) time(value jsontext.Value) time.Time {
	var t time.Time
	switch value.Kind() {
	case jsontext.KindString:
		t, _ = time.Parse(time.RFC3339, string(jsonscan.Unquote(value))) // fractions are taken, too
	case jsontext.KindNumber:
		if ms, err := strconv.ParseFloat(string(value), 64); err == nil && math.Abs(ms) < 1<<53 {
			t = time.UnixMilli(int64(ms))
		}
	}
	t = t.UTC().Truncate(time.Millisecond)
	if t.Year() < 1970 || t.Year() > 9999 {
		d.addError("must be a time as 2026-01-31T23:59:59.999Z")
		return time.Time{}
	}
	return t
}
