package schema

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// Authentication is how and when a user signed in.
type Authentication struct {
	// Time is the moment of the sign-in, in UTC and whole milliseconds: auth_time of
	// OpenID Connect Core section 2.
	Time time.Time
	// Methods are the methods of the sign-in by the names of RFC 8176, such as pwd and
	// otp; perhaps none.
	Methods []string
	// Level is the authentication context class that was reached, such as aal2 of NIST
	// SP 800-63B or an acr of OpenID Connect; empty if it is not known.
	Level string
}

// The limits of an authentication's fields. They keep identity headers small.
const (
	maxAuthMethods = 16
	maxAuthMethod  = 64  // bytes
	maxAuthLevel   = 128 // bytes
)

// Equal reports whether a and o say the same; either may be nil.
func (a *Authentication) Equal(o *Authentication) bool {
	if a == nil || o == nil {
		return a == o
	}
	return a.Time.Equal(o.Time) && a.Level == o.Level && slices.Equal(a.Methods, o.Methods)
}

// Reaches reports whether the level is the one asked for. The assurance levels of NIST
// SP 800-63B include the lower ones; others are compared by their names, since nothing
// else is known of them.
func (a *Authentication) Reaches(level string) bool {
	if a.Level == level {
		return true
	}
	have, asked := slices.Index(assuranceLevels, a.Level), slices.Index(assuranceLevels, level)
	return asked >= 0 && have > asked
}

// assuranceLevels are the levels of NIST SP 800-63B, in ascending order.
var assuranceLevels = []string{"aal1", "aal2", "aal3"}

// ValidAuthName reports whether text can be a method or a level: visible ASCII without
// what has a meaning in the headers that name it (quotes, backslashes and commas).
func ValidAuthName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ','
	})
}

// appendJSON appends the member of a user that a is, with a comma before it; nothing for
// nil.
func (a *Authentication) appendJSON(dst []byte) []byte {
	if a == nil {
		return dst
	}
	dst = append(dst, authStart...)
	dst = appendTime(dst, a.Time)
	dst = append(dst, authMethods...)
	for i, method := range a.Methods {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendQuoted(dst, method)
	}
	dst = append(dst, authLevel...)
	dst = jsonscan.AppendQuoted(dst, a.Level)
	return append(dst, '}')
}

// What is between the values of an authentication in a document.
const (
	authStart   = `,"auth":{"time":"`
	authMethods = `","methods":[`
	authLevel   = `],"level":`
)

// authPatch is a change of an authentication's fields.
type authPatch struct {
	time, methods, level presence
	// The new values of fields.
	when       time.Time
	methodList []string
	levelText  string
}

// readAuthPatch decodes the compact value of an authentication that is not null and
// stands at the pointer, within the limits or beyond. It adds field errors to m, and
// returns nil if the value is not an object.
func readAuthPatch(value []byte, at jsontext.Pointer, m *fieldErrors, limited bool) *authPatch {
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		m.add(string(at), "must be an object or null")
		return nil
	}
	p := new(authPatch)
	for f, ok := jsonscan.NextMember(value, 1); ok; f, ok = jsonscan.NextMember(value, f.End) {
		v := f.Value(value)
		name := string(jsonscan.Unquote(f.Name(value)))
		pointer := at.AppendToken(name)
		var problem string
		switch name {
		case "time":
			p.time = presenceOf(v)
			p.when, problem = readInstant(v)
		case "methods":
			p.methods = presenceOf(v)
			p.methodList, problem = readAuthMethods(v, pointer, m, limited)
		case "level":
			p.level = presenceOf(v)
			p.levelText, problem = readAuthName(v, maxAuthLevel, limited)
		default:
			problem = "is not a field of auth"
		}
		if problem != "" {
			m.add(string(pointer), problem)
		}
	}
	return p
}

// readInstant decodes a moment in RFC 3339, or null, and describes what is wrong with it.
func readInstant(value []byte) (t time.Time, problem string) {
	if jsonscan.IsNull(value) {
		return time.Time{}, ""
	}
	if jsonscan.KindOf(value) == jsontext.KindString && t.UnmarshalText(jsonscan.Unquote(value)) == nil {
		if t = Now(t); t.Year() >= 1 && t.Year() <= 9999 {
			return t, ""
		}
	}
	return time.Time{}, "must be a time in RFC 3339, such as 2026-01-31T23:59:59Z"
}

// readAuthName decodes a method or a level; an empty level is none, as null is.
func readAuthName(value []byte, most int, limited bool) (text, problem string) {
	limit := noLimit
	if limited {
		limit = most
	}
	text, problem = readText(value, limit)
	if problem == "" && limited && text != "" && !ValidAuthName(text) {
		return "", `must be visible ASCII without spaces, quotes, backslashes and commas`
	}
	return text, problem
}

// readAuthMethods reads the methods of an authentication that stand at the pointer, or
// null. What is wrong with one of them goes to m.
func readAuthMethods(value []byte, at jsontext.Pointer, m *fieldErrors, limited bool) (methods []string, problem string) {
	switch {
	case jsonscan.IsNull(value):
		return nil, ""
	case jsonscan.KindOf(value) != jsontext.KindBeginArray:
		return nil, "must be an array of strings"
	}
	methods = make([]string, 0, 2)
	for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
		if limited && len(methods) == maxAuthMethods {
			return nil, "must have at most " + strconv.Itoa(maxAuthMethods) + " elements"
		}
		method, problem := readAuthName(value[start:end], maxAuthMethod, limited)
		switch {
		case jsonscan.IsNull(value[start:end]):
			problem = "must be a string"
		case problem == "" && limited && method == "":
			problem = "must not be empty"
		}
		if problem != "" {
			m.add(string(at.AppendToken(strconv.Itoa(len(methods)))), problem)
		}
		methods = append(methods, method)
	}
	return methods, ""
}

// apply returns cur with the patch merged into it, which stands at the pointer. Removed
// fields get their default, but the time is required.
func (p *authPatch) apply(cur *Authentication, at jsontext.Pointer, m *fieldErrors) *Authentication {
	next := Authentication{Methods: []string{}}
	if cur != nil {
		next = *cur
	}
	if p.time != absent {
		next.Time = p.when
	}
	switch p.methods {
	case set:
		next.Methods = p.methodList
	case cleared:
		next.Methods = []string{}
	}
	if p.level != absent {
		next.Level = p.levelText
	}
	if next.Time.IsZero() {
		m.add(string(at.AppendToken("time")), "is required")
	}
	return &next
}

// authChange is a Change that replaces how and when the user has signed in, and nothing
// else.
type authChange struct{ auth *Authentication }

// authPointer is the pointer of an authentication in the body of a regeneration.
const authPointer = jsontext.Pointer("/auth")

// readAuthChange decodes the member auth of a regeneration.
func readAuthChange(value []byte, m *fieldErrors) Change {
	if jsonscan.IsNull(value) {
		return &authChange{}
	}
	p := readAuthPatch(value, authPointer, m, true)
	if p == nil {
		return nil
	}
	return &authChange{p.apply(nil, authPointer, m)}
}

// Apply implements Change. There is nobody to sign in anew in a session without a user.
func (c *authChange) Apply(cur Sections) (Sections, error) {
	if cur.User == nil {
		var m fieldErrors
		m.add(string(authPointer), "the session has no user: send user with auth in it")
		return Sections{}, m.err()
	}
	user := *cur.User
	user.Auth = c.auth
	cur.User = &user
	return cur, nil
}

// TTL implements Change.
func (*authChange) TTL() (time.Duration, bool) { return 0, false }
