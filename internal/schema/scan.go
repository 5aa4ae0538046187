package schema

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file find their way through JSON text that has been
// checked before: a body after wellFormed, or a stored document. They look at
// structure alone, which makes them several times as fast as a decoder. On
// text that is no JSON their result means nothing, but they end and do not
// panic.

// stringEnd returns the offset after the string whose opening quote is b[i].
func stringEnd(b []byte, i int) int {
	const short = 64 // from here on IndexByte is faster
	i++
	for stop := min(len(b), i+short) - 8; i <= stop; {
		eight := binary.LittleEndian.Uint64(b[i:])
		found := zeros(eight^everywhere*'"') | zeros(eight^everywhere*'\\')
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

// valueEnd returns the offset after the value that starts at b[i].
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
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
			i = stringEnd(b, i-1)
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

// member is the place of an object's member in compact text: its quoted name
// is b[start:colon], its value b[colon+1:end].
type member struct{ start, colon, end int }

func (m member) name(b []byte) []byte  { return b[m.start:m.colon] }
func (m member) value(b []byte) []byte { return b[m.colon+1 : m.end : m.end] }

// nextMember returns the member at b[i], i being the offset after the object's
// opening brace or after the member before. ok is false at the closing brace.
func nextMember(b []byte, i int) (m member, ok bool) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	if i >= len(b) || b[i] != '"' {
		return member{}, false
	}
	colon := stringEnd(b, i)
	if colon >= len(b) || b[colon] != ':' {
		return member{}, false
	}
	return member{start: i, colon: colon, end: valueEnd(b, colon+1)}, true
}

// nextElement returns the place b[start:end] of the array element at b[i], i
// being the offset after the array's opening bracket or after the element
// before. ok is false at the closing bracket.
func nextElement(b []byte, i int) (start, end int, ok bool) {
	if i < len(b) && b[i] == ',' {
		i++
	}
	end = valueEnd(b, i)
	return i, end, end > i
}

// unquoted returns the text of a JSON string, without a copy where it has no
// escapes.
func unquoted(quoted []byte) []byte {
	if len(quoted) < 2 {
		return nil
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // checked before
	return text
}

// kindOf returns the kind of a value by its first byte.
func kindOf(value []byte) jsontext.Kind { return jsontext.Value(value).Kind() }

// isNull reports whether a value is the literal null.
func isNull(value []byte) bool { return string(value) == "null" }

// The functions below look at the eight bytes of a number at once. Of the high
// bits that they return, the lowest is right, and those above it may not be.
const (
	everywhere = 0x0101010101010101
	highBits   = 0x80 * everywhere
)

// zeros has the high bit of each byte that is 0.
func zeros(eight uint64) uint64 { return (eight - everywhere) &^ eight & highBits }

// below has the high bit of each byte that is below limit, which is at most 128.
func below(eight, limit uint64) uint64 { return (eight - everywhere*limit) &^ eight & highBits }
