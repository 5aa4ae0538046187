package schema

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"session-api/internal/jsonscan"
)

// fastScanner validates a body in one pass: it checks what checkSyntax and a
// normalizer check, for bodies in the form that JSON encoders usually produce.
// Nearly all bodies are decoded this way, at a fraction of the cost. Anything else,
// errors above all, it leaves to strictDecodeBody, which decides.
type fastScanner struct {
	rules *Rules
	src   []byte
	pos   int // the next byte of src

	// skipNameCheck turns the check of member names off.
	skipNameCheck bool

	// sawSpace reports whitespace between the tokens of the current value, and
	// needsCompact whitespace in a value that is kept.
	sawSpace, needsCompact bool
	// sawControlEscape reports escapes that sanitising might remove.
	sawControlEscape bool
	// seenBits is the bitwise or of all bytes of strings, eight at a time: its high
	// bits say whether any of them is not ASCII.
	seenBits uint64

	// names are the member names of the objects that enclose the current position.
	names [32]struct{ start, end int }
	count int
}

// maxFastNames is the largest number of members of one object that the fast scan
// accepts: it compares each name with all others.
const maxFastNames = 16

// fastDecodeBody is decodeBody by the fast scan. It returns false if the body must
// be decoded by strictDecodeBody.
func (r *Rules) fastDecodeBody(body []byte, p *bodyMembers, inPlace bool) (ok bool) {
	d := fastScanner{rules: r, src: body}
	if d.skipSpace() != '{' {
		return false
	}
	d.pos++
	for c := d.skipSpace(); c != '}'; c = d.skipSpace() {
		if d.count > 0 {
			if c != ',' {
				return false
			}
			d.pos++
		}
		name, ok := d.scanName(0)
		if !ok || !d.scanMember(name, p) {
			return false
		}
	}
	d.pos++
	d.skipSpace()
	if d.pos < len(body) || d.seenBits&jsonscan.HighBits != 0 && !utf8.Valid(body) {
		return false
	}
	if d.needsCompact || !inPlace {
		p.compact(len(body), d.needsCompact)
	}
	return len(p.fieldErrors) == 0
}

// scanMember scans the value of a top-level member.
func (d *fastScanner) scanMember(name []byte, p *bodyMembers) (ok bool) {
	i := sectionOf(name)
	d.skipNameCheck, d.sawControlEscape = i == sectionUser, false
	d.skipSpace()
	start := d.pos
	d.sawSpace = false
	if !d.scanValue(2) {
		return false
	}
	d.needsCompact = d.needsCompact || d.sawSpace && i != noSection
	value := d.src[start:d.pos:d.pos]
	switch {
	case i == sectionUser:
		p.sections[i] = value
		return value[0] == '{' || value[0] == 'n'
	case i != noSection:
		p.sections[i] = value
		return (value[0] == '{' || value[0] == 'n') && (i != sectionInputs || !d.needsSanitizing(value))
	case string(name) == "ttlMs":
		p.ttl = d.rules.readTTL(value, &p.fieldErrors)
	case string(name) == "remember":
		return p.read("remember", value, &p.fieldErrors)
	default:
		return isReadOnly(name)
	}
	return true
}

// needsSanitizing reports whether sanitising might change the inputs.
func (d *fastScanner) needsSanitizing(inputs []byte) bool {
	switch d.rules.Sanitize {
	case SanitizeOff:
		return false
	case SanitizeHTML:
		return bytes.ContainsAny(inputs, `<&\`) || containsControls(inputs)
	default:
		return d.sawControlEscape || containsControls(inputs)
	}
}

// compact copies the values, of size bytes at most, and removes whitespace.
func (p *bodyMembers) compact(size int, spaced bool) {
	dst := make([]byte, 0, size)
	for i, value := range p.sections {
		if value == nil {
			continue
		}
		start := len(dst)
		if spaced {
			dst = appendCompact(dst, value)
		} else {
			dst = append(dst, value...)
		}
		p.sections[i] = dst[start:len(dst):len(dst)]
	}
}

// appendCompact appends a well-formed value without the whitespace between its
// tokens.
func appendCompact(dst, value []byte) []byte {
	for i := 0; i < len(value); {
		start := i
		if value[i] == '"' {
			i = jsonscan.StringEnd(value, i)
			dst = append(dst, value[start:i]...)
			continue
		}
		for i < len(value) && value[i] > ' ' && value[i] != '"' {
			i++
		}
		dst = append(dst, value[start:i]...)
		for i < len(value) && value[i] <= ' ' {
			i++
		}
	}
	return dst
}

// skipSpace advances to the next byte that is not whitespace and returns it; 0 at
// the end.
func (d *fastScanner) skipSpace() byte {
	for ; d.pos < len(d.src); d.pos++ {
		switch c := d.src[d.pos]; c {
		case ' ', '\t', '\r', '\n':
			d.sawSpace = true
		default:
			return c
		}
	}
	return 0
}

// scanValue scans one value at the nesting level; the root's is 1.
func (d *fastScanner) scanValue(level int) (ok bool) {
	switch d.skipSpace() {
	case '{':
		return level <= maxDepth && d.scanObject(level)
	case '[':
		return level <= maxDepth && d.scanArray(level)
	case '"':
		return d.scanString()
	case 't':
		return d.scanLiteral("true")
	case 'f':
		return d.scanLiteral("false")
	case 'n':
		return d.scanLiteral("null")
	default:
		return d.scanNumber()
	}
}

func (d *fastScanner) scanObject(level int) (ok bool) {
	d.pos++
	first := d.count
	for c := d.skipSpace(); c != '}'; c = d.skipSpace() {
		if d.count > first {
			if c != ',' {
				return false
			}
			d.pos++
		}
		if _, ok := d.scanName(first); !ok || !d.scanValue(level+1) {
			return false
		}
	}
	d.pos++
	d.count = first
	return true
}

func (d *fastScanner) scanArray(level int) (ok bool) {
	d.pos++
	if d.skipSpace() == ']' {
		d.pos++
		return true
	}
	for d.scanValue(level + 1) {
		c := d.skipSpace()
		d.pos++
		if c == ']' {
			return true
		}
		if c != ',' {
			return false
		}
	}
	return false
}

// scanName scans a member name and its colon, and returns the name. first is the
// index in names of the first name of the same object.
func (d *fastScanner) scanName(first int) (name []byte, ok bool) {
	if d.skipSpace() != '"' || d.count == len(d.names) || d.count-first == maxFastNames {
		return nil, false
	}
	start := d.pos + 1
	d.pos = d.stringEnd(start)
	if d.pos == len(d.src) || d.src[d.pos] != '"' { // an escape, or worse
		return nil, false
	}
	name = d.src[start:d.pos]
	for _, other := range d.names[first:d.count] {
		if bytes.Equal(d.src[other.start:other.end], name) {
			return nil, false
		}
	}
	if !d.skipNameCheck && d.rules.forbids(name) {
		return nil, false
	}
	d.names[d.count].start, d.names[d.count].end = start, d.pos
	d.count++
	d.pos++
	if d.skipSpace() != ':' {
		return nil, false
	}
	d.pos++
	return name, true
}

// scanString scans a string.
func (d *fastScanner) scanString() (ok bool) {
	for d.pos++; ; d.pos += 2 {
		d.pos = d.stringEnd(d.pos)
		if d.pos >= len(d.src) || d.src[d.pos] < ' ' {
			return false
		}
		if d.src[d.pos] == '"' {
			d.pos++
			return true
		}
		if d.pos+1 == len(d.src) {
			return false
		}
		switch d.src[d.pos+1] {
		case '"', '\\', '/', 'n', 'r', 't':
		case 'b', 'f':
			d.sawControlEscape = true
		default: // also \u, which may be half of a character
			return false
		}
	}
}

// stringEnd returns the offset, from i on, of the first byte of a string that is
// not literal text: a quote, a backslash or a control character.
func (d *fastScanner) stringEnd(i int) int {
	for ; i+8 <= len(d.src); i += 8 {
		eight := binary.LittleEndian.Uint64(d.src[i:])
		d.seenBits |= eight
		if found := jsonscan.Below(eight, ' ') | jsonscan.Zeros(eight^jsonscan.Everywhere*'"') | jsonscan.Zeros(eight^jsonscan.Everywhere*'\\'); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(d.src); i++ {
		c := d.src[i]
		d.seenBits |= uint64(c)
		if c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

func (d *fastScanner) scanLiteral(text string) (ok bool) {
	if len(d.src)-d.pos < len(text) || string(d.src[d.pos:d.pos+len(text)]) != text {
		return false
	}
	d.pos += len(text)
	return true
}

// scanNumber scans a number. It does not check what follows; the callers do, since
// they accept only a comma or the end of the value there.
func (d *fastScanner) scanNumber() (ok bool) {
	start := d.pos
	if d.pos < len(d.src) && d.src[d.pos] == '-' {
		d.pos++
	}
	if d.pos < len(d.src) && d.src[d.pos] == '0' {
		d.pos++
	} else if !d.scanDigits() {
		return false
	}
	if d.pos < len(d.src) && d.src[d.pos] == '.' {
		d.pos++
		if !d.scanDigits() {
			return false
		}
	}
	if d.pos < len(d.src) && d.src[d.pos]|0x20 == 'e' {
		d.pos++
		if d.pos < len(d.src) && (d.src[d.pos] == '+' || d.src[d.pos] == '-') {
			d.pos++
		}
		return d.scanDigits() && jsonscan.InRange(d.src[start:d.pos])
	}
	return d.pos-start < maxFastNumber || jsonscan.InRange(d.src[start:d.pos])
}

// maxFastNumber is the length below which a number without an exponent is in range
// for certain.
const maxFastNumber = 300

// scanDigits scans one digit or more.
func (d *fastScanner) scanDigits() (ok bool) {
	start := d.pos
	for d.pos < len(d.src) && d.src[d.pos]-'0' <= 9 {
		d.pos++
	}
	return d.pos > start
}
