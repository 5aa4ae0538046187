package schema

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeForeign reads the document of the session of that id as another program
// may have written it: in any layout, with sections left out, null, or [] for an
// empty object; times as RFC 3339 in any precision and zone, or as milliseconds
// since 1970; without updatedAt, expiresAt, version and revision. id, if there,
// must be the session's, and createdAt must be there. The members of other names
// are an error, not dropped: whoever changes the session would lose them for the
// one who wrote them. So is a document that is larger than MaxBytes; no other
// rule counts.
//
// The session has no Doc yet, and no ExpiresAt, TTL and OwnTTL unless the
// document says so: Build makes it whole with the sections.
func (r *Rules) DecodeForeign(id string, doc []byte) (Session, Sections, error) {
	if r.MaxBytes > 0 && len(doc) > r.MaxBytes {
		return Session{}, Sections{}, &Error{Code: CodeTooLarge, Detail: "the document is larger than " + strconv.Itoa(r.MaxBytes) + " bytes"}
	}
	if err := wellFormed(doc, jsontext.KindBeginObject); err != nil {
		return Session{}, Sections{}, err
	}
	d := foreignDecoder{recordDecoder: recordDecoder{
		normalizer: normalizer{rules: &Rules{Sanitize: SanitizeOff}, src: doc, dst: make([]byte, 0, len(doc)), where: make(path, 0, 8)},
		sess:       Session{ID: id, Revision: 1},
		sections:   EmptySections(),
	}}
	d.space()
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

// foreignDecoder reads documents of other programs.
type foreignDecoder struct{ recordDecoder }

// member reads a member of the document.
func (d *foreignDecoder) member(name string, i section) error {
	d.anyName = i == sectionUser || name == storedMember
	value, err := d.value(2)
	d.anyName = false
	if err != nil {
		return err
	}
	switch {
	case i == sectionUser:
		if !jsonscan.IsNull(value) {
			d.sections.User = readUserPatch(value, &d.mistakes).whole(&d.mistakes)
		}
	case i != noSection:
		switch {
		case value.Kind() == jsontext.KindBeginObject:
			*d.sections.freeForm(i) = value
		case !jsonscan.IsNull(value) && string(value) != "[]":
			d.wrong("must be an object")
		}
	default:
		d.head(name, value)
	}
	return nil
}

// storedMember is what a store on Redis adds to documents. A program that reads
// one and writes it back leaves it there.
const storedMember = "stored"

// head reads a member of the document that is no section. null is as good as
// nothing.
func (d *foreignDecoder) head(name string, value jsontext.Value) {
	if jsonscan.IsNull(value) && name != "id" {
		return
	}
	switch name {
	case "id":
		if value.Kind() != jsontext.KindString || string(jsonscan.Unquote(value)) != d.sess.ID {
			d.wrong("must be the id that the session is stored under")
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
	default:
		d.wrong("is not a member of a session")
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
		d.wrong("must be a time as 2026-01-31T23:59:59.999Z")
		return time.Time{}
	}
	return t
}
