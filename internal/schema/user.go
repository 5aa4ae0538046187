package schema

import (
	"slices"
	"strconv"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// User is the user that a session belongs to.
type User struct {
	ID    string   `json:"id"`
	Email string   `json:"email"`
	Roles []string `json:"roles"`
	// Auth is how and when the user signed in, nil if that is not known.
	Auth *Authentication `json:"auth,omitempty"`
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
	return u.ID == o.ID && u.Email == o.Email && slices.Equal(u.Roles, o.Roles) && u.Auth.Equal(o.Auth)
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
	dst = append(dst, ']')
	return append(u.Auth.appendJSON(dst), '}')
}

// userPatch is a change of the user's fields.
type userPatch struct {
	id, email, roles, auth presence
	// The new values of fields.
	idText, emailText string
	roleList          []string
	authFields        *authPatch
}

// presence says how a body changes a field.
type presence byte

const (
	absent presence = iota
	cleared
	set
)

// presenceOf returns how the value changes its field.
func presenceOf(value []byte) presence {
	if jsonscan.IsNull(value) {
		return cleared
	}
	return set
}

// readUserPatch decodes the compact value of a user member that is not null. It adds
// field errors to m, and returns nil if the value is not an object.
func readUserPatch(value []byte, m *fieldErrors) *userPatch { return readUserFields(value, m, true) }

// readUserFields is readUserPatch, within the limits or beyond.
func readUserFields(value []byte, m *fieldErrors, limited bool) *userPatch {
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
		case "auth":
			if p.auth = presenceOf(v); p.auth == set {
				p.authFields = readAuthPatch(v, userAuthPointer, m, limited)
			}
		default:
			problem = "is not a field of user"
		}
		if problem != "" {
			m.add(string(userPointer.AppendToken(string(name))), problem)
		}
	}
	return p
}

// userPointer is the pointer of the user in a document.
const userPointer = jsontext.Pointer("/user")

// userAuthPointer is the pointer of the user's authentication in a document.
const userAuthPointer = userPointer + "/auth"

// noLimit is the limit for texts that are stored already.
const noLimit = -1

// readText decodes a string of a user, or null, and describes what is wrong with it.
// It may be sent as an HTTP header, so control characters are refused.
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
func readRoles(value []byte, m *fieldErrors, limited bool) (roles []string, problem string) {
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

// readWholeUser decodes the compact value of a user member that replaces the user. It
// adds field errors to m, and returns nil for null and if the value is not an object.
func readWholeUser(value []byte, m *fieldErrors) *User {
	if jsonscan.IsNull(value) {
		return nil
	}
	if user, ok := fastScanUser(value); ok {
		return user
	}
	return readUserPatch(value, m).whole(m)
}

// whole returns the user that the patch makes of no user. Null sets a field to its
// default.
func (p *userPatch) whole(m *fieldErrors) *User {
	if p == nil {
		return nil
	}
	return p.apply(nil, m)
}

// apply returns cur with the patch merged into it. Removed fields get their default,
// but the id is required. How and when another user signed in says nothing of the new
// one, so it goes with the id.
func (p *userPatch) apply(cur *User, m *fieldErrors) *User {
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
	if cur != nil && next.ID != cur.ID {
		next.Auth = nil
	}
	switch {
	case p.auth == cleared:
		next.Auth = nil
	case p.authFields != nil:
		next.Auth = p.authFields.apply(next.Auth, userAuthPointer, m)
	}
	if next.ID == "" {
		m.add(string(userPointer)+"/id", "is required and must not be empty")
	}
	return &next
}
