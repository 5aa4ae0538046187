package schema

import (
	"bytes"
	"html"
	"strings"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/microcosm-cc/bluemonday"
)

// Sanitize says what happens to the strings of inputs, member names included,
// before they are stored.
type Sanitize string

const (
	// SanitizeControls removes control characters (Unicode's category Cc: C0,
	// DEL and C1) except tab, newline and carriage return.
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
	text := string(jsonscan.Unquote(dst[start:]))
	if stripped := stripMarkup(text); stripped != text {
		dst, _ = jsontext.AppendQuote(dst[:start], stripped) // UTF-8, as text was
		return dst, true
	}
	return dst, changed
}

// appendWithoutControls appends a quoted JSON string without control characters,
// whether they are escaped or not. Those of C0 cannot occur unescaped in JSON.
func appendWithoutControls(dst, quoted []byte) []byte {
	for {
		i := bytes.IndexByte(quoted, '\\')
		if i < 0 || i+1 >= len(quoted) {
			return appendUnescaped(dst, quoted)
		}
		dst = appendUnescaped(dst, quoted[:i])
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

// The control characters of C1, U+0080 to U+009F, are c1 and a byte of that
// number in UTF-8.
const (
	del     = 0x7f
	c1      = 0xc2
	firstC1 = 0x80
	lastC1  = 0x9f
)

// appendUnescaped appends UTF-8 text in which nothing is escaped without DEL and
// the control characters of C1.
func appendUnescaped(dst, text []byte) []byte {
	if !containsControls(text) {
		return append(dst, text...)
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == del:
		case c == c1 && i+1 < len(text) && text[i+1] >= firstC1 && text[i+1] <= lastC1:
			i++
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// containsControls reports whether UTF-8 text holds DEL or a control character of
// C1 that is not escaped.
func containsControls(text []byte) bool {
	if bytes.IndexByte(text, del) >= 0 {
		return true
	}
	for {
		i := bytes.IndexByte(text, c1)
		if i < 0 || i+1 == len(text) {
			return false
		}
		if next := text[i+1]; next >= firstC1 && next <= lastC1 {
			return true
		}
		text = text[i+1:]
	}
}

// isControl reports whether a character is removed: one of Unicode's category Cc
// other than tab, newline and carriage return.
func isControl(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	}
	return r < ' ' || r >= 0x7f && r <= 0x9f
}

// isControlEscape is isControl for the character that the four digits of a \u
// escape stand for.
func isControlEscape(digits []byte) bool {
	if digits[0] != '0' || digits[1] != '0' {
		return false
	}
	return isControl(rune(hexDigit(digits[2])<<4 | hexDigit(digits[3]))) //nolint:gosec // at most 255
}

// strictPolicy allows no element at all.
var strictPolicy = bluemonday.StrictPolicy()

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
		stripped := html.UnescapeString(strictPolicy.Sanitize(strings.ReplaceAll(now, "\r", "&#13;")))
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
		if isControl(r) {
			return -1
		}
		return r
	}, text)
}
