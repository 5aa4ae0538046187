package api

import (
	"net/http"
	"strings"
)

// plainCookie finds the cookie in the form in which nearly all requests have
// it: once, in one header, unquoted, with nothing in it that a token cannot
// have. What is not that plain is for net/http to read.
func plainCookie(h http.Header, name string) (value string, ok bool) {
	lines := h["Cookie"]
	if len(lines) != 1 || strings.Count(lines[0], name) != 1 {
		return "", false
	}
	before, after, _ := strings.Cut(lines[0], name)
	if before != "" && !strings.HasSuffix(before, "; ") || !strings.HasPrefix(after, "=") {
		return "", false
	}
	value, _, _ = strings.Cut(after[1:], ";")
	for i := range len(value) {
		switch c := value[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		case c == '%', c == '.', c == ':', c == '-', c == '_', c == '+', c == '/':
		default:
			return "", false
		}
	}
	return value, true
}
