package schema

import (
	"bytes"
	"errors"
	"hash/maphash"

	"session-api/internal/jsonpatch"
	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// The rules can become stricter while sessions are stored: a member name is
// forbidden that some of them have, or strings are sanitised that were not. Such
// a session must not be stuck. What it holds may stay and may be taken out, and
// the rest of it can be changed; only more of the same is refused.

// standing tells offences, which the stored document may hold too, from mistakes
// that the body alone is to blame for.
type standing struct {
	// inSection: what is read now goes into a free-form section.
	inSection bool
	// grave: there is a mistake that is no offence.
	grave bool
}

// offend notes an offence at the present place.
func (n *normalizer) offend(detail string) {
	n.grave = n.grave || !n.inSection
	n.add(n.where.pointer(), detail)
}

// unless adds to err the change that the body asks for, unless there are
// mistakes that are no offences.
func (s standing) unless(err error, others bool, c *standingChange) error {
	e, ok := errors.AsType[*Error](err)
	// Of more mistakes than these, nobody knows what they are.
	if ok && !s.grave && !others && len(e.Fields) < maxFieldErrors {
		c.refused, e.standing = e, c
	}
	return err
}

// IfStored returns the change of a body that was refused with err only because
// it holds, or takes out, what the rules forbid. Its Apply makes the change where
// that is in the stored sections already, and none of it comes to be there more
// often than now; otherwise it returns err. ok is false for any other error.
func IfStored(err error) (c Change, ok bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.standing == nil {
		return nil, false
	}
	return e.standing, true
}

// standingChange is what IfStored returns.
type standingChange struct {
	Change

	rules   *Rules
	refused *Error
	// merges: it is a merge patch, whose nulls take out what is there.
	merges bool
	// edits: it is a JSON Patch, which holds its result to the rules by itself.
	edits bool
}

// Apply implements Change.
func (c *standingChange) Apply(cur Sections) (Sections, error) {
	next, err := c.Change.Apply(cur)
	if e, ok := errors.AsType[*Error](err); ok && e.Code != CodePatchTestFailed && e.Code != CodeTooLarge {
		return Sections{}, c.refused
	}
	if err != nil || c.edits {
		return next, err
	}
	for i := sectionInputs; i < sectionCount; i++ {
		if was, is := *cur.freeForm(i), *next.freeForm(i); !bytes.Equal(was, is) && !c.rules.noWorse(was, is) {
			return Sections{}, c.refused
		}
	}
	if c.merges {
		for _, f := range c.refused.Fields {
			if !cur.has(f.Pointer) {
				return Sections{}, c.refused
			}
		}
	}
	return next, nil
}

// has reports whether the pointer leads to something in a free-form section.
func (s Sections) has(text string) bool {
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
			at = element(at, t)
		} else {
			at = jsonscan.LookUp(at, t.Text)
		}
		if at == nil {
			return false
		}
	}
	return true
}

// element returns the element of a compact array; nil where there is none.
func element(array []byte, t jsonpatch.Token) []byte {
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

// noWorse reports whether a section holds nothing that the rules forbid, or none
// of it more often than the section that it was did.
func (r *Rules) noWorse(was, is []byte) bool {
	_, worse := r.compare(was, is)
	return !worse
}

// mends is noWorse for a JSON Patch: as long as there is a forbidden name in a
// section, a patch of that section takes out at least one.
func (r *Rules) mends(was, is []byte) bool {
	names, worse := r.compare(was, is)
	return !worse && (names.is == 0 || names.is < names.was)
}

// nameCount is how many members of a section have forbidden names.
type nameCount struct{ was, is int }

// compare looks for what the rules forbid in a section as it was and as it is.
// worse: the latter has something that the former has not, or not as often.
func (r *Rules) compare(was, is []byte) (names nameCount, worse bool) {
	// By their hashes: they can contain each other, and be large.
	seed := maphash.MakeSeed()
	found := make(map[uint64]int)
	r.offences(is, func(what []byte, isName bool) {
		found[maphash.Bytes(seed, what)]++
		if isName {
			names.is++
		}
	})
	if len(found) == 0 {
		return names, false
	}
	r.offences(was, func(what []byte, isName bool) {
		found[maphash.Bytes(seed, what)]--
		if isName {
			names.was++
		}
	})
	for _, more := range found {
		worse = worse || more > 0
	}
	return names, worse
}

// offences calls yield with each member of a compact value whose name is
// forbidden, and each number that is out of range: with all that it says, so
// that another value under the same name is another offence.
func (r *Rules) offences(value []byte, yield func(what []byte, isName bool)) {
	switch jsonscan.KindOf(value) {
	case jsontext.KindBeginObject:
		for m, ok := jsonscan.NextMember(value, 1); ok; m, ok = jsonscan.NextMember(value, m.End) {
			if r.forbids(jsonscan.Unquote(m.Name(value))) {
				yield(value[m.Start:m.End], true)
			}
			r.offences(m.Value(value), yield)
		}
	case jsontext.KindBeginArray:
		for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
			r.offences(value[start:end], yield)
		}
	case jsontext.KindNumber:
		if !jsonscan.InRange(value) {
			yield(value, false)
		}
	}
}

// uncleaned returns the strings of a compact value, as they are spelt, that
// sanitising would change; nil where there are none.
func (r *Rules) uncleaned(value []byte) map[string]struct{} {
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
