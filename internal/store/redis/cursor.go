package redis

import (
	"strings"

	"session-api/internal/store/backend"
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

func encodeCursor(q backend.Query, last position) string {
	return backend.EncodeCursor(q, last.created, last.id)
}

func decodeCursor(q backend.Query) (position, error) {
	created, id, err := backend.DecodeCursor(q)
	if err == nil && (created < 0 || created > ageMax) {
		err = backend.ErrBadCursor
	}
	return position{created, id}, err
}
