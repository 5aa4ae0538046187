package format

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"

	"session-api/internal/schema"
)

// The facts of a session are a member of the value, between the document and the
// trailer, where no reader of the trailer has to look for it:
//
//	{"id":"...",...,"meta":{},"facts":{"label":"Firefox on Windows",...},"stored":{...,"facts":"<mark>"}}
//
// The mark in the trailer has the length of that text and a digest. As it is a part of
// the value's end, a script which compares ends compares the facts, too.
const (
	factsStart = `,"facts":`

	trailerFacts = `,"facts":"`
	// factsMarkMax is the length of a mark at most.
	factsMarkMax = 4 + len(".") + 11
)

// factsMark is what a trailer says of the facts. The zero value is that there are none.
type factsMark struct {
	size int
	sum  uint64
}

var markEncoding = base64.RawURLEncoding.Strict()

func markOf(text string) factsMark {
	if text == "" {
		return factsMark{}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return factsMark{len(text), h.Sum64()}
}

// appendTo appends the member of the trailer, nothing for no facts.
func (m factsMark) appendTo(b []byte) []byte {
	if m.size == 0 {
		return b
	}
	b = append(b, trailerFacts...)
	b = strconv.AppendInt(b, int64(m.size), 10)
	b = append(b, '.')
	b = markEncoding.AppendEncode(b, binary.BigEndian.AppendUint64(nil, m.sum))
	return append(b, '"')
}

// parseFactsMark is the reverse of appendTo, for what stands between the quotes.
func parseFactsMark(text string) (m factsMark, ok bool) {
	digits, sum, found := strings.Cut(text, ".")
	size, ok := schema.ParseDigits(digits)
	raw, err := markEncoding.DecodeString(sum)
	if !found || !ok || size < 1 || size > schema.MaxFacts || err != nil || len(raw) != 8 {
		return factsMark{}, false
	}
	return factsMark{int(size), binary.BigEndian.Uint64(raw)}, true
}

// length is how many bytes of a value the facts take before the trailer.
func (m factsMark) length() int {
	if m.size == 0 {
		return 0
	}
	return len(factsStart) + m.size
}

// cutFacts splits a value without its trailer before its facts.
func (m factsMark) cutFacts(value string) (body string, facts schema.Facts, ok bool) {
	if m.size == 0 {
		return value, schema.Facts{}, true
	}
	at := len(value) - m.length()
	if at < 0 {
		return "", schema.Facts{}, false
	}
	text, found := strings.CutPrefix(value[at:], factsStart)
	if !found || markOf(text) != m {
		return "", schema.Facts{}, false
	}
	return value[:at], schema.StoredFacts(strings.Clone(text)), true
}
