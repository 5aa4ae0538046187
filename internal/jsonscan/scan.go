package jsonscan

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// StringEnd returns the offset after the string whose opening quote is b[i].
func StringEnd(b []byte, i int) int {
	const short = 64 // from here on IndexByte is faster
	i++
	for stop := min(len(b), i+short) - 8; i <= stop; {
		eight := binary.LittleEndian.Uint64(b[i:])
		found := Zeros(eight^Everywhere*'"') | Zeros(eight^Everywhere*'\\')
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] == '"' {
			return i + 1
		}
		i += 2 // past what is escaped
	}
	for i < len(b) {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			break
		}
		escapes := 0
		for escapes < n && b[i+n-1-escapes] == '\\' {
			escapes++
		}
		i += n + 1
		if escapes%2 == 0 {
			return i
		}
	}
	return len(b)
}

// ValueEnd returns the offset after the value that starts at b[i].
func ValueEnd(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return StringEnd(b, i)
	case '{', '[':
		return containerEnd(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != ']' && b[i] != '}' && b[i] > ' ' {
		i++
	}
	return i
}

// structural marks the bytes that containerEnd stops at.
var structural = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

// containerEnd is valueEnd for an object or array.
func containerEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		c := b[i]
		i++
		if !structural[c] {
			continue
		}
		switch c {
		case '"':
			i = StringEnd(b, i-1)
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(b)
}

// Member is the place of an object's member in compact text: its quoted name
// is b[Start:Colon], its value b[Colon+1:End].
type Member struct{ Start, Colon, End int }

// Name returns the quoted name of the member, within the text b.
func (m Member) Name(b []byte) []byte { return b[m.Start:m.Colon] }

// Value returns the value of the member, within the text b.
func (m Member) Value(b []byte) []byte { return b[m.Colon+1 : m.End : m.End] }

// NextMember returns the member at b[i], i being the offset after the object's
// opening brace or after the member before. ok is false at the closing brace.
func NextMember(b []byte, i int) (m Member, ok bool) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	if i >= len(b) || b[i] != '"' {
		return Member{}, false
	}
	colon := StringEnd(b, i)
	if colon >= len(b) || b[colon] != ':' {
		return Member{}, false
	}
	return Member{Start: i, Colon: colon, End: ValueEnd(b, colon+1)}, true
}

// NextElement returns the place b[start:end] of the array element at b[i], i
// being the offset after the array's opening bracket or after the element
// before. ok is false at the closing bracket.
func NextElement(b []byte, i int) (start, end int, ok bool) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	end = ValueEnd(b, i)
	return i, end, end > i
}

// Unquote returns the text of a JSON string, without a copy where it has no
// escapes.
func Unquote(quoted []byte) []byte {
	if len(quoted) < 2 {
		return nil
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // checked before
	return text
}

// KindOf returns the kind of a value by its first byte.
func KindOf(value []byte) jsontext.Kind { return jsontext.Value(value).Kind() }

// IsNull reports whether a value is the literal null.
func IsNull(value []byte) bool { return string(value) == "null" }

// Depth is how deep a compact value nests: 0 for a scalar.
func Depth(value []byte) (deepest int) {
	level := 0
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			i = StringEnd(value, i)
			continue
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
		i++
	}
	return deepest
}

// LookUp returns the member of a compact object; nil where there is none, or
// no object.
func LookUp(object []byte, name string) []byte {
	if KindOf(object) != jsontext.KindBeginObject {
		return nil
	}
	for m, ok := NextMember(object, 1); ok; m, ok = NextMember(object, m.End) {
		if string(Unquote(m.Name(object))) == name {
			return m.Value(object)
		}
	}
	return nil
}

// HasDuplicateNames reports whether two members of a compact object share a name.
func HasDuplicateNames(object []byte) bool {
	seen := make(map[string]struct{})
	for m, ok := NextMember(object, 1); ok; m, ok = NextMember(object, m.End) {
		name := string(m.Name(object))
		if _, twice := seen[name]; twice {
			return true
		}
		seen[name] = struct{}{}
	}
	return false
}

// AppendQuoted appends text as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendQuoted(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // the error says that something was replaced
	return dst
}
