package jsonpatch

import (
	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/jsonscan"
)

// AppendMerged appends the result of the algorithm MergePatch (RFC 7396
// section 2) for a patch that is not null. Members of the target keep their
// place, new ones follow in the order of the patch. Both are compact. It recurses
// as deep as the patch nests.
func AppendMerged(dst, target, patch []byte) []byte {
	if jsonscan.KindOf(patch) != jsontext.KindBeginObject {
		return append(dst, patch...)
	}
	if jsonscan.KindOf(target) != jsontext.KindBeginObject {
		target = []byte("{}")
	}
	var few [fewMembers]member // most patches fit, and need no allocation
	changes := readMembers(few[:0], patch)
	dst = append(dst, '{')
	first := len(dst)
	kept := 1 // target from here on is not copied yet, up to the present member
	flush := func(end int) {
		if kept >= end {
			return
		}
		run := target[kept:end]
		if run[0] == ',' {
			run = run[1:]
		}
		dst = append(comma(dst, first), run...)
	}
	for m, ok := jsonscan.NextMember(target, 1); ok; m, ok = jsonscan.NextMember(target, m.End) {
		change := changes.find(m.Name(target))
		if change == nil {
			continue
		}
		change.found = true
		before := m.Start
		if target[before-1] == ',' {
			before--
		}
		flush(before)
		kept = m.End
		if !jsonscan.IsNull(change.value) {
			dst = append(comma(dst, first), target[m.Start:m.Colon+1]...)
			dst = AppendMerged(dst, m.Value(target), change.value)
		}
	}
	flush(len(target) - 1)
	for i := range changes.list {
		if c := &changes.list[i]; !c.found && !jsonscan.IsNull(c.value) {
			dst = append(comma(dst, first), c.name...)
			dst = append(dst, ':')
			dst = AppendMerged(dst, nil, c.value)
		}
	}
	return append(dst, '}')
}

// comma appends a comma where something follows first.
func comma(dst []byte, first int) []byte {
	if len(dst) > first {
		return append(dst, ',')
	}
	return dst
}
