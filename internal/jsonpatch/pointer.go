package jsonpatch

import (
	"math"
	"strconv"
	"strings"

	"session-api/internal/jsonscan"
)

// Pointer is a JSON Pointer (RFC 6901), taken apart.
type Pointer []Token

// Token is one step of a pointer.
type Token struct {
	// Text is the member name or index.
	Text string
	// quoted is the name as a normalised document spells it.
	quoted string
}

// Name returns the token of a member's name.
func Name(text string) Token {
	return Token{Text: text, quoted: string(jsonscan.AppendQuoted(nil, text))}
}

// ParsePointer takes a pointer apart; ok is false where it is malformed.
func ParsePointer(text string) (p Pointer, ok bool) {
	if text == "" {
		return Pointer{}, true
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
		p = append(p, Name(part))
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

// Within reports whether p leads to a place inside of what q leads to.
func (p Pointer) Within(q Pointer) bool {
	if len(p) <= len(q) {
		return false
	}
	for i := range q {
		if p[i].Text != q[i].Text {
			return false
		}
	}
	return true
}

// Index returns the token as an array index. ok is false where it is not
// written as RFC 6901 section 4 has it: digits without a leading zero.
func (t Token) Index() (n int, ok bool) {
	if t.Text == "" || len(t.Text) > 1 && t.Text[0] == '0' || strings.Trim(t.Text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(t.Text)
	if err != nil {
		return math.MaxInt, true // more than any array has elements
	}
	return n, true
}
