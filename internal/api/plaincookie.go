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
	if len(lines) != 1 {
		return "", false
	}
	before, after, found := strings.Cut(lines[0], name)
	if !found || before != "" && !strings.HasSuffix(before, "; ") || !strings.HasPrefix(after, "=") {
		return "", false
	}
	value, others, _ := strings.Cut(after[1:], ";")
	if strings.Contains(others, name) {
		return "", false
	}
	for i := range len(value) {
		if !ofToken[value[i]] {
			return "", false
		}
	}
	return value, true
}

// ofToken are the bytes that a token can have, percent-encoded or not.
var ofToken = func() (set [256]bool) {
	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%.:-_+/" {
		set[c] = true
	}
	return set
}()
