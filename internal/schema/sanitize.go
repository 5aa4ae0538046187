package schema

import (
	"bytes"
	"html"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/microcosm-cc/bluemonday"
)

// Sanitize says what happens to the strings of inputs, member names included,
// before they are stored.
type Sanitize string

const (
	// SanitizeControls removes NUL and the other C0 control characters except
	// tab, newline and carriage return.
	SanitizeControls Sanitize = "controls"
	// SanitizeHTML removes what SanitizeControls does, and HTML markup, also
	// where it is written in character references. Text without markup stays
	// as it was sent.
	SanitizeHTML Sanitize = "html"
	// SanitizeOff leaves strings alone.
	SanitizeOff Sanitize = "off"
)

// appendString appends a quoted JSON string, sanitised if clean is set, and
// reports whether that changed it.
func (r *Rules) appendString(dst, quoted []byte, clean bool) (_ []byte, changed bool) {
	if !clean || r.Sanitize == SanitizeOff {
		return append(dst, quoted...), false
	}
	start := len(dst)
	dst = appendWithoutControls(dst, quoted)
	changed = len(dst)-start != len(quoted)
	if r.Sanitize != SanitizeHTML || !bytes.ContainsAny(dst[start:], `<&\`) {
		return dst, changed
	}
	text := string(unquoted(dst[start:]))
	if stripped := stripMarkup(text); stripped != text {
		dst, _ = jsontext.AppendQuote(dst[:start], stripped) // UTF-8, as text was
		return dst, true
	}
	return dst, changed
}

// appendWithoutControls appends a quoted JSON string without the escapes that
// stand for C0 control characters. Unescaped ones cannot occur in JSON.
func appendWithoutControls(dst, quoted []byte) []byte {
	for {
		i := bytes.IndexByte(quoted, '\\')
		if i < 0 || i+1 >= len(quoted) {
			return append(dst, quoted...)
		}
		dst = append(dst, quoted[:i]...)
		quoted = quoted[i:]
		size := 2
		drop := quoted[1] == 'b' || quoted[1] == 'f'
		if quoted[1] == 'u' && len(quoted) >= 6 {
			size = 6
			drop = isControlEscape(quoted[2:6])
		}
		if !drop {
			dst = append(dst, quoted[:size]...)
		}
		quoted = quoted[size:]
	}
}

// isControlEscape reports whether the four digits of a \u escape stand for a
// C0 control character other than tab, newline and carriage return.
func isControlEscape(digits []byte) bool {
	if digits[0] != '0' || digits[1] != '0' || digits[2] > '1' {
		return false
	}
	if digits[2] == '1' {
		return true
	}
	switch digits[3] {
	case '9', 'a', 'A', 'd', 'D':
		return false
	}
	return true
}

// strict allows no element at all.
var strict = bluemonday.StrictPolicy()

// maxStripRounds is how many layers of character references around markup are
// opened. Text that has more was not written by a person.
const maxStripRounds = 5

// stripMarkup returns text without HTML markup, whether it stands there plainly
// or in character references ("&lt;b&gt;", however often encoded). Where there
// is none the text comes back unchanged: "AT&T", "AT&amp;T" and "a < b" are no
// markup. What it returns it would not change again.
func stripMarkup(text string) string {
	if !strings.ContainsAny(text, "<&") {
		return text
	}
	found := false
	for now, round := text, 0; round < maxStripRounds; round++ {
		// The policy reads character references and escapes what is left;
		// html.UnescapeString takes back that escaping, so that without markup
		// the two sides below are equal. A carriage return must not count as
		// markup, and the policy's tokenizer would make it a newline.
		stripped := html.UnescapeString(strict.Sanitize(strings.ReplaceAll(now, "\r", "&#13;")))
		if stripped != html.UnescapeString(now) {
			found = true
		}
		next := withoutControls(stripped) // a reference can stand for one
		if next == now {
			if found {
				return now
			}
			return text
		}
		now = next
	}
	return strings.Map(func(r rune) rune {
		if r == '<' || r == '>' || r == '&' {
			return -1
		}
		return r
	}, text)
}

// withoutControls is appendWithoutControls for plain text.
func withoutControls(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return -1
		}
		return r
	}, text)
}
