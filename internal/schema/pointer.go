package schema

import (
	"math"
	"strconv"
	"strings"
)

// pointer is a JSON Pointer (RFC 6901), taken apart.
type pointer []token

// token is one step of a pointer: the member name or index as text, and the
// name as a normalised document spells it.
type token struct{ text, quoted string }

// parsePointer takes a pointer apart; ok is false where it is malformed.
func parsePointer(text string) (p pointer, ok bool) {
	if text == "" {
		return pointer{}, true
	}
	if text[0] != '/' {
		return nil, false
	}
	for part := range strings.SplitSeq(text[1:], "/") {
		if strings.Contains(part, "~") {
			if part, ok = unescapeToken(part); !ok {
				return nil, false
			}
		}
		p = append(p, token{text: part, quoted: string(appendQuoted(nil, part))})
	}
	return p, true
}

// unescapeToken replaces ~1 and ~0; ok is false for a tilde that stands before
// anything else.
func unescapeToken(part string) (_ string, ok bool) {
	for i := 0; i < len(part); i++ {
		if part[i] == '~' {
			if i++; i == len(part) || part[i] != '0' && part[i] != '1' {
				return "", false
			}
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"), true
}

// within reports whether p leads to a place inside of what q leads to.
func (p pointer) within(q pointer) bool {
	if len(p) <= len(q) {
		return false
	}
	for i := range q {
		if p[i].text != q[i].text {
			return false
		}
	}
	return true
}

// index returns the token as an array index. ok is false where it is not
// written as RFC 6901 section 4 has it: digits without a leading zero.
func (t token) index() (n int, ok bool) {
	if t.text == "" || len(t.text) > 1 && t.text[0] == '0' || strings.Trim(t.text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(t.text)
	if err != nil {
		return math.MaxInt, true // more than any array has elements
	}
	return n, true
}
