package schema

import (
	"slices"
	"strconv"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// User is whose session it is.
type User struct {
	ID    string   `json:"id"`
	Email string   `json:"email"`
	Roles []string `json:"roles"`
}

// The limits of a user's fields, in bytes. They keep identity headers small.
const (
	maxUserID    = 256
	maxUserEmail = 320 // RFC 3696: 64 for the local part, 255 for the domain, "@"
	maxUserRoles = 64
	maxUserRole  = 128
)

// Equal reports whether u and o say the same; either may be nil.
func (u *User) Equal(o *User) bool {
	if u == nil || o == nil {
		return u == o
	}
	return u.ID == o.ID && u.Email == o.Email && slices.Equal(u.Roles, o.Roles)
}

// id is the user's id; empty for nil.
func (u *User) id() string {
	if u == nil {
		return ""
	}
	return u.ID
}

// appendJSON appends the user as a document has it; null for nil.
func (u *User) appendJSON(dst []byte) []byte {
	if u == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"id":`...)
	dst = jsonscan.AppendQuoted(dst, u.ID)
	dst = append(dst, `,"email":`...)
	dst = jsonscan.AppendQuoted(dst, u.Email)
	dst = append(dst, `,"roles":[`...)
	for i, role := range u.Roles {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendQuoted(dst, role)
	}
	return append(dst, "]}"...)
}

// userPatch is what a body says of the user's fields.
type userPatch struct {
	id, email, roles presence
	// What a field is set to.
	idText, emailText string
	roleList          []string
}

// presence says what a body does with a field.
type presence byte

const (
	absent presence = iota
	cleared
	set
)

// presenceOf returns what a body does with a field by giving it the value.
func presenceOf(value []byte) presence {
	if jsonscan.IsNull(value) {
		return cleared
	}
	return set
}

// readUserPatch reads the compact value of a user member that is not null.
// Mistakes go to m; nil where it is no object.
func readUserPatch(value []byte, m *mistakes) *userPatch { return readUserWithin(value, m, true) }

// readUserWithin is readUserPatch, within the limits or beyond.
func readUserWithin(value []byte, m *mistakes, limited bool) *userPatch {
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		m.add(string(userPointer), "must be an object or null")
		return nil
	}
	limit := func(most int) int {
		if !limited {
			return noLimit
		}
		return most
	}
	p := new(userPatch)
	for f, ok := jsonscan.NextMember(value, 1); ok; f, ok = jsonscan.NextMember(value, f.End) {
		v := f.Value(value)
		name := jsonscan.Unquote(f.Name(value))
		var problem string
		switch string(name) {
		case "id":
			p.id = presenceOf(v)
			p.idText, problem = readText(v, limit(maxUserID))
		case "email":
			p.email = presenceOf(v)
			p.emailText, problem = readText(v, limit(maxUserEmail))
		case "roles":
			p.roles = presenceOf(v)
			p.roleList, problem = readRoles(v, m, limited)
		default:
			problem = "is not a field of user"
		}
		if problem != "" {
			m.add(string(userPointer.AppendToken(string(name))), problem)
		}
	}
	return p
}

// userPointer is where a document has its user.
const userPointer = jsontext.Pointer("/user")

// noLimit is the limit of a text that was stored.
const noLimit = -1

// readText reads one string of a user, or null, and says what is wrong with it.
// It may end up in an HTTP header, so it may hold no control characters.
func readText(value []byte, limit int) (text, problem string) {
	switch {
	case jsonscan.IsNull(value):
		return "", ""
	case jsonscan.KindOf(value) != jsontext.KindString:
		return "", "must be a string"
	}
	text = string(jsonscan.Unquote(value))
	if limit == noLimit {
		return text, ""
	}
	if len(text) > limit {
		return "", "must be at most " + strconv.Itoa(limit) + " bytes long"
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return "", "must not hold control characters"
		}
	}
	return text, ""
}

// readRoles reads a user's roles, or null. What is wrong with one of them goes
// to m.
func readRoles(value []byte, m *mistakes, limited bool) (roles []string, problem string) {
	switch {
	case jsonscan.IsNull(value):
		return nil, ""
	case jsonscan.KindOf(value) != jsontext.KindBeginArray:
		return nil, "must be an array of strings"
	}
	roles = make([]string, 0, 4)
	for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
		if limited && len(roles) == maxUserRoles {
			return nil, "must have at most " + strconv.Itoa(maxUserRoles) + " elements"
		}
		limit := noLimit
		if limited {
			limit = maxUserRole
		}
		role, problem := readText(value[start:end], limit)
		if jsonscan.IsNull(value[start:end]) {
			problem = "must be a string"
		}
		if problem != "" {
			m.add(string(userPointer)+"/roles/"+strconv.Itoa(len(roles)), problem)
		}
		roles = append(roles, role)
	}
	return roles, ""
}

// readWholeUser reads the compact value of a user member that is all that is
// said of the user. Mistakes go to m; nil for null, and where it is no object.
func readWholeUser(value []byte, m *mistakes) *User {
	if jsonscan.IsNull(value) {
		return nil
	}
	if user, ok := plainUser(value); ok {
		return user
	}
	return readUserPatch(value, m).whole(m)
}

// whole returns the user that the patch makes by itself, for a body that
// replaces the user. Null is the default of a field there, too.
func (p *userPatch) whole(m *mistakes) *User {
	if p == nil {
		return nil
	}
	return p.apply(nil, m)
}

// apply returns cur with the patch merged into it. What was removed gets its
// default, but an id there must be.
func (p *userPatch) apply(cur *User, m *mistakes) *User {
	next := User{Roles: []string{}}
	if cur != nil {
		next = *cur
	}
	if p.id != absent {
		next.ID = p.idText
	}
	if p.email != absent {
		next.Email = p.emailText
	}
	switch p.roles {
	case set:
		next.Roles = p.roleList
	case cleared:
		next.Roles = []string{}
	}
	if next.ID == "" {
		m.add(string(userPointer)+"/id", "is required and must not be empty")
	}
	return &next
}
