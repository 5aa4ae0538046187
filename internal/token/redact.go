package token

import (
	"regexp"
	"slices"
	"strings"
)

// Mark stands in the place of what was redacted.
const Mark = "[redacted]"

// shape matches a token, a JWT or a session id wherever a client may have put it: in a
// path, a query, a Referer. Of a service token that was cut, most is enough.
var shape = regexp.MustCompile(`[sS](:|%(?:25)*3[aA])[A-Za-z0-9_-]{16,128}\.[A-Za-z0-9+/=%_-]*|[0-9a-fA-F]{64}|(?i:bearer)[ \t\n]+\S+|` +
	`eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|sat(?:_|%(?:25)*5[fF])[0-9A-Za-z]{16,}`)

// MaxText is the length in bytes to which Redact cuts a text: a binary one grows
// sixfold when it is quoted.
const MaxText = 1 << 10

// Redact replaces the queries of URLs and all that has the shape of a credential
// in s, and cuts off what is beyond MaxText. A query goes as a whole: it rarely
// holds what is worth logging, and may hold anything.
func Redact(s string) string {
	if s = redactWhole(s); len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText], "") + "…"
}

func redactWhole(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		end := len(s)
		if n := strings.IndexByte(s[i:], ' '); n >= 0 {
			end = i + n
		}
		s = s[:i] + "?" + Mark + s[end:]
	}
	s = redactIDs(s)
	if !mayMatch(s) {
		return s
	}
	return shape.ReplaceAllString(s, Mark)
}

// beforeID precedes the id in the paths of routes, behind one of routesBeforeID.
const beforeID = "/sessions/"

// The beginnings of paths that have an id in them, and what may stand in its place:
// routes of their own, and the name of a route.
var (
	routesBeforeID = []string{"/api", "/api/user"}
	notIDs         = []string{"count", "get", "end", "{id}"}
)

// CutID splits a text before and after the first id in the path of a route; found is
// false if there is none. Those that callers bring have no shape to know them by.
func CutID(text string) (before, after string, found bool) {
	for from := 0; ; {
		i := strings.Index(text[from:], beforeID)
		if i < 0 {
			return text, "", false
		}
		path := text[:from+i]
		start := len(path) + len(beforeID)
		end := start + strings.IndexAny(text[start:]+" ", "/? \"\t\n")
		isRoute := slices.ContainsFunc(routesBeforeID, func(route string) bool { return strings.HasSuffix(path, route) })
		if isRoute && !slices.Contains(notIDs, text[start:end]) {
			return text[:start], text[end:], true
		}
		from = start - 1 // its last slash may begin the next
	}
}

// redactIDs replaces the ids in the paths of routes.
func redactIDs(s string) string {
	before, after, found := CutID(s)
	if !found {
		return s
	}
	return before + Mark + redactIDs(after)
}

// mayMatch reports whether shape may match s. It is false for nearly everything
// that is logged, at a fraction of the cost of the expression.
func mayMatch(s string) bool {
	hexRun := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			if hexRun++; hexRun == 64 {
				return true
			}
			continue
		case c == ':' || c == '%': // s: or s%3a, sat%5f
			if i > 0 && s[i-1]|0x20 == 's' && len(s)-i > 16 || strings.HasSuffix(s[:i], servicePrefix[:3]) {
				return true
			}
		case c == '_': // sat_
			if strings.HasSuffix(s[:i], servicePrefix[:3]) {
				return true
			}
		case c == 'J': // eyJ, which is {" in base64
			if i >= 2 && s[i-2:i] == "ey" {
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

// InPath reports whether a path seems to hold a token, in either spelling.
func InPath(path string) bool {
	return strings.Contains(path, prefix) || strings.Contains(path, escapedPrefix)
}
