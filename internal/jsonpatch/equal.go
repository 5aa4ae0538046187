package jsonpatch

import (
	"bytes"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// equalJSON reports whether two normalised values are equal as RFC 6902
// section 4.6 has it: numbers by what they stand for, strings by their
// characters, objects in any order. Where that takes more work than a patch may, it says
// no.
func (l *limit) equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	kind := jsonscan.KindOf(a)
	if kind != jsonscan.KindOf(b) {
		return false
	}
	switch kind {
	case jsontext.KindString:
		return equalStrings(a, b)
	case jsontext.KindNumber:
		return equalNumbers(a, b)
	case jsontext.KindBeginArray:
		return l.equalArrays(a, b)
	case jsontext.KindBeginObject:
		return l.equalObjects(a, b)
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
	return bytes.Equal(jsonscan.Unquote(a), jsonscan.Unquote(b))
}

// equalNumbers leaves out numbers that are absurdly long, so that a patch full
// of tests stays cheap: they are equal to their own spelling alone.
func equalNumbers(a, b []byte) bool {
	const absurd = 4096
	return len(a) <= absurd && len(b) <= absurd && jsonscan.ParseNumber(a).Equal(jsonscan.ParseNumber(b))
}

func (l *limit) equalArrays(a, b []byte) bool {
	i, j := 1, 1
	for {
		aStart, aEnd, more := jsonscan.NextElement(a, i)
		bStart, bEnd, other := jsonscan.NextElement(b, j)
		if !more || !other {
			return more == other
		}
		l.compared(aEnd - aStart)
		if l.exceeded() || !l.equalJSON(a[aStart:aEnd], b[bStart:bEnd]) {
			return false
		}
		i, j = aEnd, bEnd
	}
}

func (l *limit) equalObjects(a, b []byte) bool {
	var few [fewMembers]member
	members := readMembers(few[:0], b)
	count := 0
	for m, ok := jsonscan.NextMember(a, 1); ok; m, ok = jsonscan.NextMember(a, m.End) {
		l.compared(m.End - m.Start)
		other := members.find(m.Name(a))
		if l.exceeded() || other == nil || !l.equalJSON(m.Value(a), other.value) {
			return false
		}
		count++
	}
	return count == len(members.list)
}
