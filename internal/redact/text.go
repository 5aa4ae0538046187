// Package redact takes secrets out of texts that leave the service as logs and
// traces: those that are configured, and whatever has the shape of a token or a
// session id.
package redact

import (
	"regexp"
	"strings"
)

// Mark stands where something was taken out.
const Mark = "[redacted]"

// secretShaped is what a token or a session id looks like, wherever a client
// may have put it: in a path, a query, a Referer.
var secretShaped = regexp.MustCompile(`[sS](:|%(?:25)*3[aA])[A-Za-z0-9_-]{16,128}\.[A-Za-z0-9+/=%_-]*|[0-9a-fA-F]{64}|(?i:bearer)[ \t\n]+\S+`)

// MaxText is how much of a text is kept, in bytes: a binary one grows sixfold
// when it is quoted.
const MaxText = 1 << 10

// Text takes the queries of URLs and all that looks like a secret out of s, and
// cuts off what is beyond MaxText. Queries go as a whole: they have no place for
// what is worth telling, and every place for what is not.
func Text(s string) string {
	if s = scrubWhole(s); len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText], "") + "…"
}

func scrubWhole(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		end := len(s)
		if n := strings.IndexByte(s[i:], ' '); n >= 0 {
			end = i + n
		}
		s = s[:i] + "?" + Mark + s[end:]
	}
	s = scrubIDs(s)
	if !maybeSecret(s) {
		return s
	}
	return secretShaped.ReplaceAllString(s, Mark)
}

// BeforeID is what the paths of service routes have before an id.
const BeforeID = "/api/sessions/"

// scrubIDs takes the ids out of the paths of service routes. Those that callers
// bring have no shape to know them by.
func scrubIDs(s string) string {
	i := strings.Index(s, BeforeID)
	if i < 0 {
		return s
	}
	start := i + len(BeforeID)
	end := start + strings.IndexAny(s[start:]+" ", "/? \"\t\n")
	id := Mark
	if s[start:end] == "count" || s[start:end] == "{id}" { // a route of its own, and the name of a route
		id = s[start:end]
	}
	return s[:start] + id + scrubIDs(s[end:])
}

// maybeSecret reports whether secretShaped may match s. It says no to nearly
// everything that is logged, at a fraction of what the expression costs.
func maybeSecret(s string) bool {
	hexRun := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			if hexRun++; hexRun == 64 {
				return true
			}
			continue
		case c == ':' || c == '%': // s: or s%3a
			if i > 0 && s[i-1]|0x20 == 's' && len(s)-i > 16 {
				return true
			}
		case c == ' ' || c == '\t' || c == '\n': // Bearer and white space
			if i >= 6 && strings.EqualFold(s[i-6:i], "bearer") {
				return true
			}
		}
		hexRun = 0
	}
	return false
}
