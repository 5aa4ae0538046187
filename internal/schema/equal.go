package schema

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// equalJSON reports whether two normalised values are equal as RFC 6902
// section 4.6 has it: numbers by what they stand for, strings by their
// characters, objects in any order. Where that takes too much effort, it says
// no.
func (e *effort) equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	kind := kindOf(a)
	if kind != kindOf(b) {
		return false
	}
	switch kind {
	case jsontext.KindString:
		return equalStrings(a, b)
	case jsontext.KindNumber:
		return equalNumbers(a, b)
	case jsontext.KindBeginArray:
		return e.equalArrays(a, b)
	case jsontext.KindBeginObject:
		return e.equalObjects(a, b)
	default:
		return false
	}
}

func equalStrings(a, b []byte) bool {
	// An escape is six bytes for at least one, so that far apart they differ;
	// this keeps a test of a short string against a long one cheap.
	const escape = len(`\u0000`)
	if len(a) > escape*len(b) || len(b) > escape*len(a) {
		return false
	}
	return bytes.Equal(unquoted(a), unquoted(b))
}

// equalNumbers leaves out numbers that are absurdly long, so that a patch full
// of tests stays cheap: they are equal to their own spelling alone.
func equalNumbers(a, b []byte) bool {
	const absurd = 4096
	return len(a) <= absurd && len(b) <= absurd && parseNumber(a).equal(parseNumber(b))
}

func (e *effort) equalArrays(a, b []byte) bool {
	i, j := 1, 1
	for {
		aStart, aEnd, more := nextElement(a, i)
		bStart, bEnd, other := nextElement(b, j)
		if !more || !other {
			return more == other
		}
		e.look(aEnd - aStart)
		if e.spent() || !e.equalJSON(a[aStart:aEnd], b[bStart:bEnd]) {
			return false
		}
		i, j = aEnd, bEnd
	}
}

func (e *effort) equalObjects(a, b []byte) bool {
	var few [8]patchMember
	members := readPatchMembers(few[:0], b)
	count := 0
	for m, ok := nextMember(a, 1); ok; m, ok = nextMember(a, m.end) {
		e.look(m.end - m.start)
		other := members.find(m.name(a))
		if e.spent() || other == nil || !e.equalJSON(m.value(a), other.value) {
			return false
		}
		count++
	}
	return count == len(members.list)
}

// number is what a JSON number stands for: 0.digits times ten to the exponent,
// the digits neither starting nor ending with a zero.
type number struct {
	negative bool
	digits   string
	exponent int64
	// text is the number as written where its exponent is beyond any use.
	// Such a number is equal to itself alone.
	text string
}

func (n number) equal(o number) bool {
	if n.digits == "" && n.text == "" && o.digits == "" && o.text == "" {
		return true // 0 and -0
	}
	return n == o
}

func parseNumber(b []byte) number {
	text := string(b)
	var n number
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, n.negative = strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	n.digits = strings.TrimLeft(all, "0")
	n.exponent = int64(len(whole) - (len(all) - len(n.digits)))
	n.digits = strings.TrimRight(n.digits, "0")
	if n.digits == "" {
		return number{}
	}
	if exponent != "" {
		e, err := strconv.ParseInt(exponent, 10, 62)
		if err != nil {
			return number{text: text}
		}
		n.exponent += e
	}
	return n
}
