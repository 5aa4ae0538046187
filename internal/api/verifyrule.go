package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"session-api/internal/schema"
)

// verifyRule is what a gateway asks of a session's user: to have any of the roles, and
// to have signed in recently and well enough. Without any of it, a live session is
// enough.
type verifyRule struct {
	roles []string
	// maxAuthAge is how long ago the user may have signed in at most; 0 for any time.
	maxAuthAge time.Duration
	// levels and methods: the sign-in reached one of the levels, and used one of the
	// methods.
	levels, methods []string
}

// ruleError is a rule that its gateway wrote wrongly. The gateway gets 503: to
// guess what was meant could let anybody pass.
type ruleError struct {
	detail string
	// parameter is the one that is not known, where that is what is wrong and
	// its name may be shown.
	parameter string
}

func (e *ruleError) Error() string { return "the gateway's rule: " + e.detail }

// Unwrap returns the problem that the gateway gets.
func (e *ruleError) Unwrap() error { return &problem{codeInvalidRule, e.detail} }

// errAmbiguousRule is returned for a parameter like role behind a path, if it may have
// been written by the gateway or by its client.
var errAmbiguousRule = &problem{codeRoleRequired, "The query has a parameter such as role behind a path, which the gateway may have appended together with its client's query. Configure the gateway to use /api/session/verify;session or ;role=… in front of the path."}

// parseVerifyRule reads the rule of an authorization request. What counts is where it stands,
// because gateways differ in what they add to the address that they were given:
//
//   - verify?role=admin: nothing follows verify in the path, so nothing was
//     appended and the query is the gateway's. It has to be well-formed and hold
//     nothing but the rule.
//   - verify;role=admin/orders?page=2, or verify;session/orders: the rule is in
//     the parameters of the segment (RFC 3986 section 3.3). A client's path
//     begins with a slash, so the segment is the gateway's alone. All that
//     follows it is the client's, and not looked at.
//   - verify/orders?page=2: the query behind a path is the client's, or the
//     gateway's where it wrote verify/?role=admin. unclear says that a parameter
//     like role is there; it is never left out of account, for it could be the
//     gateway's.
//
// The error is a *ruleError, or errAmbiguousRule where unclear is true as well.
func parseVerifyRule(u *url.URL) (asked verifyRule, unclear bool, err error) {
	if len(u.Path) == len(verifyPath) && u.RawQuery == "" {
		return verifyRule{}, false, nil
	}
	path := u.RawPath // as it was sent: EscapedPath makes it anew where a client's part is odd
	if path == "" {
		path = u.EscapedPath()
	}
	rest := path[len(verifyPath):]
	segment, _, appended := strings.Cut(rest, "/")
	switch {
	case rest == "":
		asked, err = parseRuleQuery(u.RawQuery)
		return asked, false, err
	case segment == "":
		return parseRuleSuffix(u.RawQuery)
	case segment[0] == ';' || len(segment) >= 3 && strings.EqualFold(segment[:3], "%3B"):
		if u.RawQuery != "" && !appended {
			return verifyRule{}, false, &ruleError{detail: "A query follows parameters in the path. Write the rule in one of the two."}
		}
		asked, err = parseRuleSegment(segment)
		return asked, false, err
	case strings.ContainsAny(segment, "=&?;") || strings.Contains(strings.ToUpper(segment), "%3D"):
		return verifyRule{}, false, &ruleError{detail: "What follows verify in the path looks like a rule, and is none. Write verify?role=… or verify;role=…."}
	default: // OPTIONS *, and the like
		return parseRuleSuffix(u.RawQuery)
	}
}

// The names of a rule's parameters.
const (
	ruleRole       = "role"
	ruleSession    = "session" // in the path alone
	ruleMaxAuthAge = "maxAuthAge"
	ruleLevel      = "level"
	ruleMethod     = "method"
)

// maxAuthAgeSeconds bounds maxAuthAge, in seconds: no session lives for that long.
const maxAuthAgeSeconds = 100 * 365 * 24 * 60 * 60

// parseRuleQuery reads a query that the gateway alone wrote.
func parseRuleQuery(raw string) (asked verifyRule, err error) {
	for pair := range strings.SplitSeq(raw, "&") {
		switch {
		case pair == "":
			continue
		case strings.ContainsAny(pair, "/?"):
			return verifyRule{}, &ruleError{detail: "The query holds a path or another query, which the gateway may have appended. Let it ask verify;role=… in front of a path. In a role, write / as %2F and ? as %3F."}
		case strings.Contains(pair, ";"):
			return verifyRule{}, &ruleError{detail: "The query holds a semicolon. Separate parameters by &, and write ; in a role as %3B."}
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil {
			return verifyRule{}, &ruleError{detail: "The query is not well-formed: it has a % without two hexadecimal digits."}
		}
		if err := asked.add(name, value, ruleRole); err != nil {
			return verifyRule{}, err
		}
	}
	return asked, nil
}

// parseRuleSegment reads the parameters of the segment verify.
func parseRuleSegment(segment string) (asked verifyRule, err error) {
	if segment[0] == '%' { // an escaped semicolon
		segment = ";" + segment[3:]
	}
	for part := range strings.SplitSeq(segment[1:], ";") {
		name, value, hasValue := strings.Cut(part, "=")
		name, nameErr := url.PathUnescape(name)
		value, valueErr := url.PathUnescape(value)
		switch {
		case nameErr != nil || valueErr != nil:
			return verifyRule{}, &ruleError{detail: "The path is not well-formed: it has a % without two hexadecimal digits."}
		case name == ruleSession && !hasValue: // which is asked for in any case
			continue
		case name == ruleSession:
			return verifyRule{}, &ruleError{detail: "The parameter session takes no value."}
		}
		nearest := ruleRole
		if letter, _ := utf8.DecodeRuneInString(name); letter == 's' || letter == 'S' {
			nearest = ruleSession
		}
		if err := asked.add(name, value, nearest); err != nil {
			return verifyRule{}, err
		}
	}
	return asked, nil
}

// add adds a parameter to what is asked for. other is the nearest one to an unknown name
// that is like none.
func (r *verifyRule) add(name, value, other string) error {
	switch name {
	case ruleRole:
		return r.addRole(value)
	case ruleMaxAuthAge:
		return r.addMaxAuthAge(value)
	case ruleLevel, ruleMethod:
		if !schema.ValidAuthName(value) {
			return &ruleError{detail: "The " + name + " that is asked for is none that a sign-in has: visible ASCII without spaces, quotes, backslashes and commas."}
		}
		if name == ruleLevel {
			r.levels = append(r.levels, value)
		} else {
			r.methods = append(r.methods, value)
		}
		return nil
	}
	if meant := nearest(name, []string{ruleMaxAuthAge, ruleLevel, ruleMethod}); meant != "" {
		other = meant
	}
	return unknownRuleParameter(name, other)
}

func (r *verifyRule) addRole(role string) error {
	if role == "" {
		return &ruleError{detail: "A role is asked for that has no name."}
	}
	if !utf8.ValidString(role) {
		return &ruleError{detail: "A role is asked for that is not UTF-8, as those of users are."}
	}
	r.roles = append(r.roles, role)
	return nil
}

func (r *verifyRule) addMaxAuthAge(value string) error {
	seconds, err := strconv.ParseUint(value, 10, 64)
	switch {
	case r.maxAuthAge != 0:
		return &ruleError{detail: "maxAuthAge is there more than once."}
	case err != nil || seconds < 1 || seconds > maxAuthAgeSeconds:
		return &ruleError{detail: "maxAuthAge is a whole number of seconds, from 1 to " + strconv.FormatInt(maxAuthAgeSeconds, 10) + "."}
	}
	r.maxAuthAge = time.Duration(seconds) * time.Second
	return nil
}

// allows reports whether the user has one of the roles, if any are asked for.
func (r verifyRule) allows(user *schema.User) bool {
	return len(r.roles) == 0 || user != nil && slices.ContainsFunc(r.roles, func(role string) bool {
		return slices.Contains(user.Roles, role)
	})
}

// parseRuleSuffix reads a query that follows a path, for roles alone: all else is
// the client's. With a slash in it, a gateway's rule may have got a client's
// path and query added; then no role can be trusted to be all that is asked for. The
// other parameters of a rule are not read from here, and what looks like them is never
// left out of account either.
func parseRuleSuffix(raw string) (asked verifyRule, unclear bool, err error) {
	if raw == "" || !mayBeRule(raw) {
		return verifyRule{}, false, nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil || strings.Contains(raw, "/") {
		return verifyRule{}, true, errAmbiguousRule
	}
	for name, values := range query {
		switch {
		case name == ruleRole:
			asked.roles = values
		case resemblesRole(name), slices.ContainsFunc(values, func(value string) bool { return resemblesSignIn(name, value) }):
			return verifyRule{}, true, errAmbiguousRule
		}
	}
	return asked, true, nil
}

// mayBeRule reports whether the query, well-formed or not, has a parameter that is one of
// a rule, or a misspelling of it.
func mayBeRule(raw string) bool {
	for pair := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(name); err == nil {
			name = unescaped
		}
		if unescaped, err := url.QueryUnescape(value); err == nil {
			value = unescaped
		}
		if resemblesRole(name) || resemblesSignIn(name, value) {
			return true
		}
	}
	return false
}

// resemblesSignIn reports whether a parameter asks for how somebody signed in. Clients
// have parameters of the names level and method too, so that of a level takes an
// assurance level as its value, and a method is never known from others.
func resemblesSignIn(name, value string) bool {
	switch lettersOf(name) {
	case strings.ToLower(ruleMaxAuthAge):
		return true
	case ruleLevel, ruleLevel + "s":
		return strings.HasPrefix(strings.ToLower(value), "aal")
	}
	return false
}

// resemblesRole reports whether a name is role in other letters, in the plural or
// with signs around it: ROLE, roles, role[].
func resemblesRole(name string) bool {
	return strings.TrimSuffix(lettersOf(name), "s") == ruleRole
}

// lettersOf returns the letters of a name in lower case; nothing for one that is longer
// than any parameter's.
func lettersOf(name string) string {
	const longest = 16
	if len(name) > longest {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}

// unknownRuleParameter is the error about a parameter that no rule has.
func unknownRuleParameter(name, nearest string) *ruleError {
	if !isPrintable(name) {
		return &ruleError{detail: "A parameter is not known. The nearest that is: " + nearest + ". If it is a client's, the gateway hands on its client's query, and must not."}
	}
	return &ruleError{
		detail:    "The parameter " + name + " is not known. The nearest that is: " + nearest + ". If it is a client's, the gateway hands on its client's query, and must not.",
		parameter: name,
	}
}

// isPrintable reports whether a parameter's name, which may be of a client's query,
// can be no secret: a word.
func isPrintable(name string) bool {
	const longest = 24
	if name == "" || len(name) > longest {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}
