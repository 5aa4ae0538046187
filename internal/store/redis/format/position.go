package format

import "strings"

// Position is a place in the order of a list: newest first, then by id. There need
// not be a session of that id any more.
type Position struct {
	Created int64 // ms
	ID      string
}

// Start is before every session, and Finish after all of them.
var (
	Start  = Position{Created: MaxAge}
	Finish = Position{Created: -1}
)

// Before reports whether p comes before o.
func (p Position) Before(o Position) bool {
	return p.Created > o.Created || p.Created == o.Created && p.ID < o.ID
}

// Form is how the ids of a part of an index by age are stored. The members of one
// form are in the order of a list, as the whole index is not.
type Form byte

// maxIDLen is the most bytes that an id takes in a member.
const maxIDLen = 129

// Forms are all of them.
var Forms = []Form{idHex, idText}

// End is where, in an index by age, the members of the form end: the argument of
// ZRANGE BYLEX.
func (f Form) End() string { return "(" + string(rune(f+1)) }

// From is where, in an index by age, the members of the form begin that may come
// after the position: the argument of ZRANGE BYLEX. As a rule all of those come
// after it: only others of the same millisecond may not, where the position's id
// has another form.
func (p Position) From(form Form) string {
	b := appendAge([]byte{'[', byte(form)}, p.Created)
	if p.ID == "" || formOf(p.ID) != byte(form) {
		return string(b)
	}
	b[0] = '('
	b = appendID(b, p.ID)
	return string(b) + strings.Repeat("\xff", versionLen+1) // after all versions
}

// Until is where, in an index by age, the members of the form end that may come
// before the position: the argument of ZRANGE BYLEX. As From, it may be a little
// too far.
func (p Position) Until(form Form) string {
	if p == Finish {
		return form.End()
	}
	b := appendAge([]byte{'(', byte(form)}, p.Created)
	if p.ID == "" {
		return string(b)
	}
	if formOf(p.ID) != byte(form) {
		return string(b) + strings.Repeat("\xff", maxIDLen+versionLen+1) // after all of that millisecond
	}
	return string(appendID(b, p.ID))
}

// Position returns the entry's place in the order of a list.
func (e *Entry) Position() Position { return Position{Created: e.Created, ID: e.Key.ID} }
