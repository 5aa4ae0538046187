package schema

import (
	"bytes"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MergePatch is a JSON Merge Patch (RFC 7396) over the sections.
type MergePatch struct {
	ttl time.Duration

	setUser bool
	user    *userPatch // nil: null
	// free holds the patches by section; nil where the section is absent.
	free [sectionCount]jsontext.Value
	// room is for what Apply makes, as far as it goes. It is empty.
	room []byte
}

// DecodeMergePatch reads a merge patch. The error is an *Error.
func (r *Rules) DecodeMergePatch(body []byte) (*MergePatch, error) {
	return r.decodeMergePatch(body, false)
}

// DecodeMergePatchInPlace is to DecodeMergePatch as DecodeInputInPlace is to
// DecodeInput. The room between the body's length and its capacity is the
// patch's too: of the sections that it makes, only the last ones are good.
func (r *Rules) DecodeMergePatchInPlace(body []byte) (*MergePatch, error) {
	p, err := r.decodeMergePatch(body, true)
	if err != nil {
		return nil, err
	}
	p.room = body[len(body):]
	return p, nil
}

func (r *Rules) decodeMergePatch(body []byte, inPlace bool) (*MergePatch, error) {
	var p parts
	if err := r.decodeParts(body, &p, inPlace); err != nil {
		return nil, err
	}
	patch := &MergePatch{ttl: p.ttl, free: p.sections}
	before := len(p.mistakes)
	patch.free[sectionUser] = nil
	if value := p.sections[sectionUser]; value != nil {
		patch.setUser = true
		if !isNull(value) {
			patch.user = readUserPatch(value, &p.mistakes)
		}
	}
	if err := p.err(); err != nil {
		return nil, p.unless(err, len(p.mistakes) > before, &standingChange{Change: patch, rules: r, merges: true})
	}
	return patch, nil
}

// TTL implements Change.
func (p *MergePatch) TTL() (time.Duration, bool) { return p.ttl, p.ttl > 0 }

// Apply implements Change.
func (p *MergePatch) Apply(cur Sections) (Sections, error) {
	next, room := cur, p.room
	if p.setUser {
		next.User = nil
		if p.user != nil {
			var m mistakes
			next.User = p.user.apply(cur.User, &m)
			if err := m.err(); err != nil {
				return Sections{}, err
			}
		}
	}
	for i, patch := range p.free {
		if patch == nil {
			continue
		}
		place := next.freeForm(section(i))
		if isNull(patch) {
			*place = emptyObject
			continue
		}
		if most := len(*place) + len(patch); cap(room) < most {
			room = make([]byte, 0, most)
		}
		merged := appendMerged(room, *place, patch)
		*place, room = slices.Clip(merged), merged[len(merged):]
	}
	return next, nil
}

// appendMerged appends the result of the algorithm MergePatch (RFC 7396
// section 2) for a patch that is not null. Members of the target keep their
// place, new ones follow in the order of the patch. Both are normalised. The
// recursion ends because the patch nests at most maxDepth deep.
func appendMerged(dst, target, patch []byte) []byte {
	if kindOf(patch) != jsontext.KindBeginObject {
		return append(dst, patch...)
	}
	if kindOf(target) != jsontext.KindBeginObject {
		target = emptyObject
	}
	var few [8]patchMember // most patches fit, and need no allocation
	changes := readPatchMembers(few[:0], patch)
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
	for m, ok := nextMember(target, 1); ok; m, ok = nextMember(target, m.end) {
		change := changes.find(m.name(target))
		if change == nil {
			continue
		}
		change.found = true
		before := m.start
		if target[before-1] == ',' {
			before--
		}
		flush(before)
		kept = m.end
		if !isNull(change.value) {
			dst = append(comma(dst, first), target[m.start:m.colon+1]...)
			dst = appendMerged(dst, m.value(target), change.value)
		}
	}
	flush(len(target) - 1)
	for i := range changes.list {
		if c := &changes.list[i]; !c.found && !isNull(c.value) {
			dst = append(comma(dst, first), c.name...)
			dst = append(dst, ':')
			dst = appendMerged(dst, nil, c.value)
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

// patchMember is a member of a patch; found says that the target has it too.
type patchMember struct {
	name, value []byte
	found       bool
}

// patchMembers are the members of a patch, quick to find by name.
type patchMembers struct {
	list   []patchMember
	byName map[string]int // nil where the list is short
}

// readPatchMembers reads a patch's members into list.
func readPatchMembers(list []patchMember, patch []byte) patchMembers {
	for m, ok := nextMember(patch, 1); ok; m, ok = nextMember(patch, m.end) {
		list = append(list, patchMember{name: m.name(patch), value: m.value(patch)})
	}
	p := patchMembers{list: list}
	if len(list) > 8 {
		p.byName = make(map[string]int, len(list))
		for i := range list {
			p.byName[string(list[i].name)] = i
		}
	}
	return p
}

// find returns the member of that quoted name, or nil.
func (p *patchMembers) find(name []byte) *patchMember {
	if p.byName != nil {
		if i, ok := p.byName[string(name)]; ok {
			return &p.list[i]
		}
		return nil
	}
	for i := range p.list {
		if bytes.Equal(p.list[i].name, name) {
			return &p.list[i]
		}
	}
	return nil
}
