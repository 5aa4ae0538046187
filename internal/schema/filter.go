package schema

import (
	"strconv"
	"time"
	"unicode/utf8"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// Filter says which sessions of a namespace are meant: those to which all of it
// applies. A field that is zero applies to every session.
type Filter struct {
	UserID, Role string
	// ClientLabel is the label of the session's client, such as "Firefox on Windows".
	ClientLabel string
	// CreatedAfter and CreatedBefore are moments that the session was created after
	// and before, not at; in whole milliseconds.
	CreatedAfter, CreatedBefore time.Time
	// SeenBefore is a moment that LastSeenAt is before.
	SeenBefore time.Time
	// IdleFor is how long ago LastSeenAt is at least, ActiveWithin at most.
	IdleFor, ActiveWithin time.Duration
	// Anonymous is for sessions without a user, or with one; nil for both.
	Anonymous *bool
}

// IsZero reports whether the filter applies to every session.
func (f *Filter) IsZero() bool { return *f == Filter{} }

// FilterMembers are the names of the fields of a filter, as bodies and queries have
// them, but for ActiveWithinMember.
var FilterMembers = []string{"userId", "role", "createdAfter", "createdBefore", "seenBefore", "idleForMs", "clientLabel", "anonymous"}

// ActiveWithinMember is the name of Filter.ActiveWithin.
const ActiveWithinMember = "activeWithinMs"

// maxFilterSpan is the longest time that a filter may name.
const maxFilterSpan = 100 * 365 * 24 * time.Hour

// Set sets the field of that name from its text, which is what a query has for it.
// problem says what is wrong with the text, as "must be …"; known is false for a name
// that is none of FilterMembers or ActiveWithinMember.
func (f *Filter) Set(name, text string) (problem string, known bool) {
	switch name {
	case "userId":
		f.UserID, problem = filterText(text, maxUserID)
	case "role":
		f.Role, problem = filterText(text, maxUserRole)
	case "clientLabel":
		f.ClientLabel, problem = filterText(text, MaxClientLabel)
	case "createdAfter":
		f.CreatedAfter, problem = filterTime(text)
		f.CreatedAfter = f.CreatedAfter.Truncate(time.Millisecond)
	case "createdBefore":
		f.CreatedBefore, problem = filterTime(text)
		f.CreatedBefore = roundUp(f.CreatedBefore)
	case "seenBefore":
		f.SeenBefore, problem = filterTime(text)
		f.SeenBefore = roundUp(f.SeenBefore)
	case "idleForMs":
		f.IdleFor, problem = filterSpan(text)
	case ActiveWithinMember:
		f.ActiveWithin, problem = filterSpan(text)
	case "anonymous":
		f.Anonymous, problem = filterFlag(text)
	default:
		return "", false
	}
	return problem, true
}

// Contradiction says what makes the filter one that no session can match, or "".
func (f *Filter) Contradiction() string {
	switch {
	case f.Anonymous != nil && *f.Anonymous && f.UserID != "":
		return "userId is for sessions with a user, anonymous=true for those without."
	case f.Anonymous != nil && *f.Anonymous && f.Role != "":
		return "role is for sessions with a user, anonymous=true for those without."
	case !f.CreatedAfter.IsZero() && !f.CreatedBefore.IsZero() && !f.CreatedAfter.Before(f.CreatedBefore):
		return "createdAfter is not before createdBefore."
	}
	return ""
}

// Matches reports whether the filter applies to a session at now.
func (f *Filter) Matches(now time.Time, s *Summary) bool {
	seen := s.LastSeenAt(now)
	switch {
	case f.UserID != "" && s.UserID != f.UserID,
		!f.CreatedAfter.IsZero() && !s.CreatedAt.After(f.CreatedAfter),
		!f.CreatedBefore.IsZero() && !s.CreatedAt.Before(f.CreatedBefore),
		!f.SeenBefore.IsZero() && !seen.Before(f.SeenBefore),
		f.IdleFor > 0 && Now(now).Sub(seen) < f.IdleFor,
		f.ActiveWithin > 0 && Now(now).Sub(seen) > f.ActiveWithin,
		f.Anonymous != nil && *f.Anonymous != (s.UserID == ""),
		f.Role != "" && !s.HasRole(f.Role),
		f.ClientLabel != "" && s.Facts.Label() != f.ClientLabel:
		return false
	}
	return true
}

func filterText(text string, limit int) (_, problem string) {
	if text == "" || len(text) > limit || !utf8.ValidString(text) {
		return "", "must be 1 to " + strconv.Itoa(limit) + " bytes of UTF-8"
	}
	return text, ""
}

func filterTime(text string) (time.Time, string) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Unix() < 0 {
		return time.Time{}, "must be a time from 1970 on as 2026-01-31T23:59:59.999Z"
	}
	return t.UTC(), ""
}

// roundUp returns the first whole millisecond that is not before t.
func roundUp(t time.Time) time.Time {
	whole := t.Truncate(time.Millisecond)
	if whole.Before(t) {
		whole = whole.Add(time.Millisecond)
	}
	return whole
}

func filterSpan(text string) (time.Duration, string) {
	ms, ok := jsonscan.WholeNumber(text)
	if !ok || ms < 1 || ms > maxFilterSpan.Milliseconds() {
		return 0, "must be a whole number of milliseconds from 1 to " + strconv.FormatInt(maxFilterSpan.Milliseconds(), 10)
	}
	return time.Duration(ms) * time.Millisecond, ""
}

func filterFlag(text string) (*bool, string) {
	switch text {
	case "true", "false":
		flag := text == "true"
		return &flag, ""
	}
	return nil, "must be true or false"
}

// notText are the fields that are no strings in a body.
var notText = map[string]bool{"idleForMs": true, "anonymous": true}

// readFilter reads a filter in a body.
func readFilter(value []byte, m *fieldErrors) (f Filter) {
	const at = "/filter"
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		m.add(at, "must be an object")
		return f
	}
	for field, ok := jsonscan.NextMember(value, 1); ok; field, ok = jsonscan.NextMember(value, field.End) {
		name, raw := string(jsonscan.Unquote(field.Name(value))), field.Value(value)
		pointer := at + string(jsontext.Pointer("").AppendToken(name))
		text, isText := string(raw), jsonscan.KindOf(raw) == jsontext.KindString
		if isText {
			text = string(jsonscan.Unquote(raw))
		}
		problem, known := "", name != ActiveWithinMember
		if known {
			problem, known = f.Set(name, text)
		}
		switch {
		case !known:
			m.add(pointer, "is not a member of a filter")
		case problem != "":
			m.add(pointer, problem)
		case isText == notText[name]:
			problem, _ = f.Set(name, "") // which no field may be
			m.add(pointer, problem)
		}
	}
	return f
}
