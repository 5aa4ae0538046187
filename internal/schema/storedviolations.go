package schema

import (
	"bytes"
	"errors"
	"hash/maphash"

	"session-api/internal/jsonpatch"
	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// The rules may become stricter while sessions are stored: a member name is
// forbidden that some of them have, or strings are sanitised that were not. Such a
// session must stay usable. What violates the rules may stay or be removed, and the
// rest of the session can be changed; only further violations are refused.

// violationState tells violations that the stored document may contain as well from
// errors that are the body's alone.
type violationState struct {
	// inSection reports that the current value belongs to a free-form section.
	inSection bool
	// fatal reports an error that the stored document cannot excuse.
	fatal bool
}

// addViolation adds a field error for a violation at the current location.
func (n *normalizer) addViolation(detail string) {
	n.fatal = n.fatal || !n.inSection
	n.add(n.loc.pointer(), detail)
}

// tolerateStored attaches the change to err, for IfStored, unless there are errors
// that the stored document cannot excuse.
func (s violationState) tolerateStored(err error, others bool, c *tolerantChange) error {
	e, ok := errors.AsType[*Error](err)
	// With maxFieldErrors there may be others that were not recorded.
	if ok && !s.fatal && !others && len(e.Fields) < maxFieldErrors {
		c.original, e.tolerant = e, c
	}
	return err
}

// IfStored returns the change of a body that was refused with err only because it
// contains or removes what the rules forbid. Its Apply makes the change if the
// stored sections contain the same violations at least as often, and returns err
// otherwise. ok is false for any other error.
func IfStored(err error) (c Change, ok bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.tolerant == nil {
		return nil, false
	}
	return e.tolerant, true
}

// tolerantChange is the Change that IfStored returns.
type tolerantChange struct {
	Change

	rules    *Rules
	original *Error
	// isMergePatch marks a merge patch, whose nulls remove members.
	isMergePatch bool
	// isJSONPatch marks a JSON Patch, which checks its result itself.
	isJSONPatch bool
}

// Apply implements Change.
func (c *tolerantChange) Apply(cur Sections) (Sections, error) {
	next, err := c.Change.Apply(cur)
	if e, ok := errors.AsType[*Error](err); ok && e.Code != CodePatchTestFailed && e.Code != CodeTooLarge {
		return Sections{}, c.original
	}
	if err != nil || c.isJSONPatch {
		return next, err
	}
	for i := sectionInputs; i < sectionCount; i++ {
		if before, after := *cur.freeForm(i), *next.freeForm(i); !bytes.Equal(before, after) && !c.rules.addsNoViolation(before, after) {
			return Sections{}, c.original
		}
	}
	if c.isMergePatch {
		for _, f := range c.original.Fields {
			if !cur.hasPointer(f.Pointer) {
				return Sections{}, c.original
			}
		}
	}
	return next, nil
}

// hasPointer reports whether the pointer refers to a value in a free-form section.
func (s Sections) hasPointer(text string) bool {
	p, ok := jsonpatch.ParsePointer(text)
	if !ok || len(p) == 0 {
		return false
	}
	i := sectionOf([]byte(p[0].Text))
	if i <= sectionUser {
		return false
	}
	at := []byte(*s.freeForm(i))
	for _, t := range p[1:] {
		if jsonscan.KindOf(at) == jsontext.KindBeginArray {
			at = arrayElement(at, t)
		} else {
			at = jsonscan.LookUp(at, t.Text)
		}
		if at == nil {
			return false
		}
	}
	return true
}

// arrayElement returns the element of a compact array, or nil if there is none.
func arrayElement(array []byte, t jsonpatch.Token) []byte {
	index, ok := t.Index()
	if !ok {
		return nil
	}
	for start, end, ok := jsonscan.NextElement(array, 1); ok; start, end, ok = jsonscan.NextElement(array, end) {
		if index == 0 {
			return array[start:end]
		}
		index--
	}
	return nil
}

// addsNoViolation reports whether no violation occurs in a section more often than
// it did before.
func (r *Rules) addsNoViolation(before, after []byte) bool {
	_, worse := r.compareViolations(before, after)
	return !worse
}

// removesViolation is addsNoViolation for a JSON Patch: it also requires that a patch
// of a section with forbidden names removes at least one of them.
func (r *Rules) removesViolation(before, after []byte) bool {
	names, worse := r.compareViolations(before, after)
	return !worse && (names.after == 0 || names.after < names.before)
}

// forbiddenNames counts the members of a section that have forbidden names.
type forbiddenNames struct{ before, after int }

// compareViolations compares the violations in a section before and after a change.
// worse reports that one of them occurs more often than before.
func (r *Rules) compareViolations(before, after []byte) (names forbiddenNames, worse bool) {
	// Violations are counted by hash: they may be large and contain each other.
	seed := maphash.MakeSeed()
	found := make(map[uint64]int)
	r.eachViolation(after, func(what []byte, isName bool) {
		found[maphash.Bytes(seed, what)]++
		if isName {
			names.after++
		}
	})
	if len(found) == 0 {
		return names, false
	}
	r.eachViolation(before, func(what []byte, isName bool) {
		found[maphash.Bytes(seed, what)]--
		if isName {
			names.before++
		}
	})
	for _, more := range found {
		worse = worse || more > 0
	}
	return names, worse
}

// eachViolation calls yield with each member of a compact value whose name is
// forbidden, and each number that is out of range. A member is passed with its
// value, so that another value under the same name is another violation.
func (r *Rules) eachViolation(value []byte, yield func(what []byte, isName bool)) {
	switch jsonscan.KindOf(value) {
	case jsontext.KindBeginObject:
		for m, ok := jsonscan.NextMember(value, 1); ok; m, ok = jsonscan.NextMember(value, m.End) {
			if r.forbids(jsonscan.Unquote(m.Name(value))) {
				yield(value[m.Start:m.End], true)
			}
			r.eachViolation(m.Value(value), yield)
		}
	case jsontext.KindBeginArray:
		for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
			r.eachViolation(value[start:end], yield)
		}
	case jsontext.KindNumber:
		if !jsonscan.InRange(value) {
			yield(value, false)
		}
	}
}

// unsanitizedStrings returns the strings of a compact value, quoted, that sanitising
// would change; nil if there are none.
func (r *Rules) unsanitizedStrings(value []byte) map[string]struct{} {
	if r.Sanitize == SanitizeOff || !bytes.ContainsAny(value, `<&\`) {
		return nil
	}
	var found map[string]struct{}
	for i := 0; i < len(value); {
		if value[i] != '"' {
			i++
			continue
		}
		end := jsonscan.StringEnd(value, i)
		if _, changed := r.appendString(nil, value[i:end], true); changed {
			if found == nil {
				found = make(map[string]struct{})
			}
			found[string(value[i:end])] = struct{}{}
		}
		i = end
	}
	return found
}
