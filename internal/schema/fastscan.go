package schema

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"session-api/internal/jsonscan"
)

// plainReader goes through a body once, and checks what wellFormed and a
// normalizer check, as long as the body is written as programs write it. It is
// their work for nearly all bodies, at a fraction of the cost; what it does not
// know, a mistake above all, it leaves to them.
type plainReader struct {
	rules *Rules
	src   []byte
	at    int // the next byte of src

	// anyName turns the check of member names off.
	anyName bool

	// spaced: there is whitespace between the tokens of a value, gaps: of one
	// that is kept.
	spaced, gaps bool
	// cleaned: there are escapes that sanitising might remove.
	cleaned bool
	// seen has a high bit where one of a string's bytes has it.
	seen uint64

	// names are the member names of the objects around the present place.
	names [32]struct{ start, end int }
	count int
}

// maxPlainNames is how many members one object may have to be read here: each
// name is compared with all others.
const maxPlainNames = 16

// plainParts is decodeParts for a body that a plainReader knows; ok is false
// for others.
func (r *Rules) plainParts(body []byte, p *parts, inPlace bool) (ok bool) {
	d := plainReader{rules: r, src: body}
	if d.space() != '{' {
		return false
	}
	d.at++
	for c := d.space(); c != '}'; c = d.space() {
		if d.count > 0 {
			if c != ',' {
				return false
			}
			d.at++
		}
		name, ok := d.name(0)
		if !ok || !d.member(name, p) {
			return false
		}
	}
	d.at++
	d.space()
	if d.at < len(body) || d.seen&jsonscan.HighBits != 0 && !utf8.Valid(body) {
		return false
	}
	if d.gaps || !inPlace {
		p.compact(len(body), d.gaps)
	}
	return len(p.mistakes) == 0
}

// member reads the value of one of the body's own members.
func (d *plainReader) member(name []byte, p *parts) (ok bool) {
	i := sectionOf(name)
	d.anyName, d.cleaned = i == sectionUser, false
	d.space()
	start := d.at
	d.spaced = false
	if !d.value(2) {
		return false
	}
	d.gaps = d.gaps || d.spaced && i != noSection
	value := d.src[start:d.at:d.at]
	switch {
	case i == sectionUser:
		p.sections[i] = value
		return value[0] == '{' || value[0] == 'n'
	case i != noSection:
		p.sections[i] = value
		return (value[0] == '{' || value[0] == 'n') && (i != sectionInputs || !d.needsCleaning(value))
	case string(name) == "ttlMs":
		p.ttl = d.rules.readTTL(value, &p.mistakes)
	default:
		return isReadOnly(name)
	}
	return true
}

// needsCleaning reports whether sanitising might change the inputs.
func (d *plainReader) needsCleaning(inputs []byte) bool {
	switch d.rules.Sanitize {
	case SanitizeOff:
		return false
	case SanitizeHTML:
		return bytes.ContainsAny(inputs, `<&\`) || holdsControls(inputs)
	default:
		return d.cleaned || holdsControls(inputs)
	}
}

// compact copies the values, of that many bytes at most, without whitespace.
func (p *parts) compact(size int, spaced bool) {
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

// space goes to the next byte that is no whitespace and returns it; 0 at the
// end, and where nothing can go on.
func (d *plainReader) space() byte {
	for ; d.at < len(d.src); d.at++ {
		switch c := d.src[d.at]; c {
		case ' ', '\t', '\r', '\n':
			d.spaced = true
		default:
			return c
		}
	}
	return 0
}

// value goes past one value that stands at the level (the root's is 1).
func (d *plainReader) value(level int) (ok bool) {
	switch d.space() {
	case '{':
		return level <= maxDepth && d.object(level)
	case '[':
		return level <= maxDepth && d.array(level)
	case '"':
		return d.text()
	case 't':
		return d.literal("true")
	case 'f':
		return d.literal("false")
	case 'n':
		return d.literal("null")
	default:
		return d.number()
	}
}

func (d *plainReader) object(level int) (ok bool) {
	d.at++
	first := d.count
	for c := d.space(); c != '}'; c = d.space() {
		if d.count > first {
			if c != ',' {
				return false
			}
			d.at++
		}
		if _, ok := d.name(first); !ok || !d.value(level+1) {
			return false
		}
	}
	d.at++
	d.count = first
	return true
}

func (d *plainReader) array(level int) (ok bool) {
	d.at++
	if d.space() == ']' {
		d.at++
		return true
	}
	for d.value(level + 1) {
		c := d.space()
		d.at++
		if c == ']' {
			return true
		}
		if c != ',' {
			return false
		}
	}
	return false
}

// name goes past a member name and its colon, and returns the name. Those of
// the same object start at first.
func (d *plainReader) name(first int) (name []byte, ok bool) {
	if d.space() != '"' || d.count == len(d.names) || d.count-first == maxPlainNames {
		return nil, false
	}
	start := d.at + 1
	d.at = d.textEnd(start)
	if d.at == len(d.src) || d.src[d.at] != '"' { // an escape, or worse
		return nil, false
	}
	name = d.src[start:d.at]
	for _, other := range d.names[first:d.count] {
		if bytes.Equal(d.src[other.start:other.end], name) {
			return nil, false
		}
	}
	if !d.anyName && d.rules.forbids(name) {
		return nil, false
	}
	d.names[d.count].start, d.names[d.count].end = start, d.at
	d.count++
	d.at++
	if d.space() != ':' {
		return nil, false
	}
	d.at++
	return name, true
}

// text goes past a string.
func (d *plainReader) text() (ok bool) {
	for d.at++; ; d.at += 2 {
		d.at = d.textEnd(d.at)
		if d.at >= len(d.src) || d.src[d.at] < ' ' {
			return false
		}
		if d.src[d.at] == '"' {
			d.at++
			return true
		}
		if d.at+1 == len(d.src) {
			return false
		}
		switch d.src[d.at+1] {
		case '"', '\\', '/', 'n', 'r', 't':
		case 'b', 'f':
			d.cleaned = true
		default: // also \u, which may be half of a character
			return false
		}
	}
}

// textEnd returns the offset from i on of the first byte that does not stand
// for itself in a string: a quote, a backslash, a control character.
func (d *plainReader) textEnd(i int) int {
	for ; i+8 <= len(d.src); i += 8 {
		eight := binary.LittleEndian.Uint64(d.src[i:])
		d.seen |= eight
		if found := jsonscan.Below(eight, ' ') | jsonscan.Zeros(eight^jsonscan.Everywhere*'"') | jsonscan.Zeros(eight^jsonscan.Everywhere*'\\'); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(d.src); i++ {
		c := d.src[i]
		d.seen |= uint64(c)
		if c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

func (d *plainReader) literal(text string) (ok bool) {
	if len(d.src)-d.at < len(text) || string(d.src[d.at:d.at+len(text)]) != text {
		return false
	}
	d.at += len(text)
	return true
}

// number goes past a number. What may not follow one, the caller does not know
// either.
func (d *plainReader) number() (ok bool) {
	start := d.at
	if d.at < len(d.src) && d.src[d.at] == '-' {
		d.at++
	}
	if d.at < len(d.src) && d.src[d.at] == '0' {
		d.at++
	} else if !d.digits() {
		return false
	}
	if d.at < len(d.src) && d.src[d.at] == '.' {
		d.at++
		if !d.digits() {
			return false
		}
	}
	if d.at < len(d.src) && d.src[d.at]|0x20 == 'e' {
		d.at++
		if d.at < len(d.src) && (d.src[d.at] == '+' || d.src[d.at] == '-') {
			d.at++
		}
		return d.digits() && jsonscan.InRange(d.src[start:d.at])
	}
	return d.at-start < maxPlainNumber || jsonscan.InRange(d.src[start:d.at])
}

// maxPlainNumber is how long a number without an exponent may be to be in range
// without a look.
const maxPlainNumber = 300

// digits goes past at least one digit.
func (d *plainReader) digits() (ok bool) {
	start := d.at
	for d.at < len(d.src) && d.src[d.at]-'0' <= 9 {
		d.at++
	}
	return d.at > start
}
