package schema

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// A record is all of a session on one line of JSON, to take it from one store
// to another:
//
//	{"namespace":"default","idleMs":86400000,"ownMs":3600000,"life":"...","facts":{...},"session":{...}}
//
// The session is the document as a client gets it. idleMs is its TTL, ownMs its
// OwnTTL, left out where it has none, life its Life, left out where that is zero,
// and facts its Facts, left out where it has none.
const (
	recordNamespace = `{"namespace":`
	recordIdle      = `,"idleMs":`
	recordOwn       = `,"ownMs":`
	recordLife      = `,"life":"`
	recordFacts     = `,"facts":`
	recordSession   = `,"session":`
)

// Limits of a record's values, which no store exceeds.
const (
	maxRecordTTL      = 100 * 365 * 24 * time.Hour
	maxRecordRevision = 1e15 - 1 // what every reader of JSON holds exactly
)

// AppendRecord appends the record of s, without a line break.
func (s *Session) AppendRecord(dst []byte) []byte {
	dst = append(dst, recordNamespace...)
	dst = jsonscan.AppendQuoted(dst, s.Namespace)
	dst = append(dst, recordIdle...)
	dst = strconv.AppendInt(dst, s.TTL.Milliseconds(), 10)
	if s.OwnTTL != 0 {
		dst = append(dst, recordOwn...)
		dst = strconv.AppendInt(dst, s.OwnTTL.Milliseconds(), 10)
	}
	if s.Life != (Life{}) {
		dst = append(dst, recordLife...)
		dst = lifeEncoding.AppendEncode(dst, s.Life[:])
		dst = append(dst, '"')
	}
	if s.Facts != (Facts{}) {
		dst = append(dst, recordFacts...)
		dst = append(dst, s.Facts.String()...)
	}
	dst = append(dst, recordSession...)
	dst = s.AppendJSON(dst)
	return append(dst, '}')
}

// DecodeRecord reads a record, as strictly as a body is read. Nothing may be
// missing but ownMs, life and facts, and nothing may be there that a record does not have. Of
// the rules only MaxBytes counts: the session was stored before, and comes back
// as it was. The error is an *Error, its pointers lead into the record.
func (r *Rules) DecodeRecord(line []byte) (Session, error) {
	if err := checkSyntax(line, jsontext.KindBeginObject); err != nil {
		return Session{}, asRecordError(err)
	}
	d := recordDecoder{normalizer: normalizer{
		rules: &Rules{Sanitize: SanitizeOff}, skipRangeCheck: true, src: line, dst: make([]byte, 0, len(line)), loc: make(path, 0, 8),
	}}
	if err := d.record(); err != nil {
		return Session{}, err
	}
	if err := d.err(); err != nil {
		return Session{}, asRecordError(err)
	}
	limits := Rules{MaxBytes: r.MaxBytes}
	return limits.Build(d.sess, d.sections)
}

// asRecordError returns an error that mentions a record in place of a body.
func asRecordError(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	said := *e
	said.Detail = strings.Replace(e.Detail, "the body", "the record", 1)
	return &said
}

// recordDecoder reads a record.
type recordDecoder struct {
	normalizer
	sess     Session
	sections Sections
}

// The required members.
var (
	recordMembers   = []string{"namespace", "idleMs", "session"}
	documentMembers = []string{
		"id", "createdAt", "updatedAt", "expiresAt", "version", "revision", "user", "inputs", "apiConfig", "results", "meta",
	}
)

func (d *recordDecoder) record() error {
	seen := map[string]bool{}
	d.skipSpace()
	for m := range d.members() {
		name := string(m)
		seen[name] = true
		if name == "session" && d.skipSeparator() == '{' {
			if err := d.document(); err != nil {
				return err
			}
			continue
		}
		value, err := d.appendValue(2)
		if err != nil {
			return err
		}
		switch name {
		case "namespace":
			d.sess.Namespace = d.stringValue(value, ValidNamespace, "must be 1 to 32 characters of a-z 0-9 -")
		case "idleMs":
			d.sess.TTL = d.idleTimeout(value)
		case "ownMs":
			d.sess.OwnTTL = d.idleTimeout(value)
		case "life":
			d.sess.Life = d.life(value)
		case "facts":
			d.sess.Facts = readFacts(value, &d.fieldErrors)
		case "session":
			d.addError("must be an object")
		default:
			d.addError("is not a member of a record")
		}
	}
	d.requireMembers(seen, "", recordMembers)
	return nil
}

// document decodes the session object at the current position.
func (d *recordDecoder) document() error {
	seen := map[string]bool{}
	for m := range d.members() {
		name := string(m)
		seen[name] = true
		i := sectionOf(m)
		d.skipNameCheck = i == sectionUser
		value, err := d.appendValue(2) // the document's root is level 1, wherever it stands
		if err != nil {
			return err
		}
		switch {
		case i == sectionUser:
			d.user(value)
		case i != noSection:
			if value.Kind() != jsontext.KindBeginObject {
				d.addError("must be an object")
			}
			*d.sections.freeForm(i) = value
		default:
			d.head(name, value)
		}
	}
	d.skipNameCheck = false
	d.requireMembers(seen, "/session", documentMembers)
	return nil
}

// user reads the session's user.
func (d *recordDecoder) user(value jsontext.Value) {
	if jsonscan.IsNull(value) {
		return
	}
	var within fieldErrors
	d.sections.User = readUserPatch(value, &within).whole(&within)
	for _, f := range within {
		d.add("/session"+f.Pointer, f.Detail)
	}
}

// head reads a member of the document that is no section.
func (d *recordDecoder) head(name string, value jsontext.Value) {
	switch name {
	case "id":
		d.sess.ID = d.stringValue(value, ValidForeignID, "must be 16 to 128 characters of A-Z a-z 0-9 _ -")
	case "createdAt":
		d.sess.CreatedAt = d.time(value)
	case "updatedAt":
		d.sess.UpdatedAt = d.time(value)
	case "expiresAt":
		d.sess.ExpiresAt = d.time(value)
	case "version":
		if n, ok := jsonscan.Whole(value); !ok || n != Version {
			d.addError("must be " + strconv.Itoa(Version))
		}
	case "revision":
		n, ok := jsonscan.Whole(value)
		if !ok || n < 1 || n > maxRecordRevision {
			d.addError("must be a whole number from 1 to 999999999999999")
		}
		d.sess.Revision = n
	default:
		d.addError("is not a member of a session")
	}
}

// stringValue decodes a string that must satisfy valid.
func (d *recordDecoder) stringValue(value jsontext.Value, valid func(string) bool, rule string) string {
	if value.Kind() != jsontext.KindString || !valid(string(jsonscan.Unquote(value))) {
		d.addError(rule)
		return ""
	}
	return string(jsonscan.Unquote(value))
}

// life decodes a Life.
func (d *recordDecoder) life(value jsontext.Value) Life {
	life, ok := ParseLife(string(jsonscan.Unquote(value)))
	if value.Kind() != jsontext.KindString || !ok {
		d.addError("must be 16 characters of base64url")
	}
	return life
}

// idleTimeout decodes an idle timeout.
func (d *recordDecoder) idleTimeout(value jsontext.Value) time.Duration {
	life, ok := readMillis(value)
	if !ok || life == 0 || life > maxRecordTTL {
		d.addError("must be a whole number of milliseconds from 1 to " + strconv.FormatInt(maxRecordTTL.Milliseconds(), 10))
	}
	return life
}

// time decodes a time in the format of documents.
func (d *recordDecoder) time(value jsontext.Value) time.Time {
	if value.Kind() == jsontext.KindString {
		if t, ok := parseTime(string(jsonscan.Unquote(value))); ok {
			return t
		}
	}
	d.addError("must be a time as 2026-01-31T23:59:59.999Z")
	return time.Time{}
}

// addError adds a field error at the current location.
func (d *recordDecoder) addError(detail string) { d.add(d.loc.pointer(), detail) }

// requireMembers adds a field error for each missing member of the object at the
// pointer.
func (d *recordDecoder) requireMembers(seen map[string]bool, pointer string, names []string) {
	for _, name := range names {
		if !seen[name] {
			d.add(pointer+"/"+name, "is required")
		}
	}
}
