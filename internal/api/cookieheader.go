package api

import (
	"iter"
	"net/http"
	"strings"

	"session-api/internal/token"
)

// fastCookie finds the cookie in the form in which nearly all requests have
// it: once, in one header, unquoted, with nothing in it that a token cannot
// have. What is not that plain is for net/http to read.
func fastCookie(h http.Header, name string) (value string, ok bool) {
	lines := h["Cookie"]
	if len(lines) != 1 {
		return "", false
	}
	before, after, found := strings.Cut(lines[0], name)
	if !found || before != "" && !strings.HasSuffix(before, "; ") || !strings.HasPrefix(after, "=") {
		return "", false
	}
	value, others, _ := strings.Cut(after[1:], ";")
	if strings.Contains(others, name) || !token.IsPlain(value) {
		return "", false
	}
	return value, true
}

// maxCookieValues bounds how many cookies of one name are looked at: more than
// the headers of a request have room for, if each has a token.
const maxCookieValues = 512

// cookieValues are the values of all cookies of that name, in the order in which
// they came. One in quotes (RFC 6265 section 4.1.1) loses them: Java's
// CookieManager and Python's http.cookies quote. What Java puts beside it,
// $Version and $Path, are cookies of other names here. A value may be anything:
// who reads it decides what is well-formed, so that none hides another.
func cookieValues(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		left := maxCookieValues
		for _, line := range h["Cookie"] {
			for line != "" {
				var pair string
				pair, line, _ = strings.Cut(line, ";")
				key, value, ok := strings.Cut(pair, "=")
				if !ok || strings.Trim(key, " \t") != name {
					continue
				}
				if left--; left < 0 || !yield(unquotedCookie(strings.Trim(value, " \t"))) {
					return
				}
			}
		}
	}
}

// unquotedCookie returns the value without a pair of quotes around it.
func unquotedCookie(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
