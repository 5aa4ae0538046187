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
	// buf is empty, and has capacity for the sections that Apply makes.
	buf []byte
}

// DecodeMergePatch reads a merge patch. The error is an *Error.
func (r *Rules) DecodeMergePatch(body []byte) (*MergePatch, error) {
	return r.decodeMergePatch(body, false)
}

// DecodeMergePatchInPlace is to DecodeMergePatch as DecodeInputInPlace is to
// DecodeInput. The patch also uses the capacity of body beyond its length: each
// Apply overwrites the sections that the previous one returned.
func (r *Rules) DecodeMergePatchInPlace(body []byte) (*MergePatch, error) {
	p, err := r.decodeMergePatch(body, true)
	if err != nil {
		return nil, err
	}
	p.buf = body[len(body):]
	return p, nil
}

func (r *Rules) decodeMergePatch(body []byte, inPlace bool) (*MergePatch, error) {
	var p bodyMembers
	if err := r.decodeBody(body, &p, inPlace); err != nil {
		return nil, err
	}
	patch := &MergePatch{ttl: p.ttl, free: p.sections}
	before := len(p.fieldErrors)
	patch.free[sectionUser] = nil
	if value := p.sections[sectionUser]; value != nil {
		patch.setUser = true
		if !jsonscan.IsNull(value) {
			patch.user = readUserPatch(value, &p.fieldErrors)
		}
	}
	if err := p.err(); err != nil {
		return nil, p.tolerateStored(err, len(p.fieldErrors) > before, &tolerantChange{Change: patch, rules: r, isMergePatch: true})
	}
	return patch, nil
}

// TTL implements Change.
func (p *MergePatch) TTL() (time.Duration, bool) { return p.ttl, p.ttl > 0 }

// Apply implements Change.
func (p *MergePatch) Apply(cur Sections) (Sections, error) {
	next, buf := cur, p.buf
	if p.setUser {
		next.User = nil
		if p.user != nil {
			var m fieldErrors
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
		dst := next.freeForm(section(i))
		if jsonscan.IsNull(patch) {
			*dst = emptyObject
			continue
		}
		if size := len(*dst) + len(patch); cap(buf) < size {
			buf = make([]byte, 0, size)
		}
		merged := jsonpatch.AppendMerged(buf, *dst, patch)
		*dst, buf = slices.Clip(merged), merged[len(merged):]
	}
	return next, nil
}
