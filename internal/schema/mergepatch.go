package schema

import (
	"slices"
	"time"

	"session-api/internal/jsonpatch"
	"session-api/internal/jsonscan"

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
		if !jsonscan.IsNull(value) {
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
		if jsonscan.IsNull(patch) {
			*place = emptyObject
			continue
		}
		if most := len(*place) + len(patch); cap(room) < most {
			room = make([]byte, 0, most)
		}
		merged := jsonpatch.AppendMerged(room, *place, patch)
		*place, room = slices.Clip(merged), merged[len(merged):]
	}
	return next, nil
}
