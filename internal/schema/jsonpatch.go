package schema

import (
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/jsonpatch"
	"session-api/internal/jsonscan"
)

// Operations is a JSON Patch (RFC 6902) over the sections. Its paths start
// with the name of a section.
type Operations struct {
	rules *Rules
	list  []jsonpatch.Operation
}

// defaultCopyLimit bounds copy operations where documents have no limit.
const defaultCopyLimit = 16 << 20

// TTL implements Change. A JSON Patch cannot ask for one.
func (*Operations) TTL() (time.Duration, bool) { return 0, false }

// Apply implements Change: all operations take effect, or none.
func (ops *Operations) Apply(cur Sections) (Sections, error) {
	if len(ops.list) == 0 {
		return cur, nil
	}
	doc := ops.document(cur)
	var last [sectionCount]int // the operation that changed a section last, plus 1
	for i := range ops.list {
		o := &ops.list[i]
		if err := doc.Apply(o); err != nil {
			return Sections{}, operationError(i, err)
		}
		if o.Op == jsonpatch.Test {
			continue
		}
		last[sectionAt(o.Path)] = i + 1
		if o.Op == jsonpatch.Move {
			last[sectionAt(o.From)] = i + 1
		}
	}
	return ops.result(cur, doc, last)
}

// document returns the sections as a document to patch.
func (ops *Operations) document(s Sections) *jsonpatch.Document {
	limit := ops.rules.MaxBytes
	if limit <= 0 {
		limit = defaultCopyLimit
	}
	doc := jsonpatch.NewDocument(limit)
	for i, name := range sectionNames {
		if section(i) == sectionUser {
			doc.Set(name, s.User.appendJSON(nil))
		} else {
			doc.Set(name, *s.freeForm(section(i)))
		}
	}
	return doc
}

// sectionAt returns the section that a pointer leads into.
func sectionAt(p jsonpatch.Pointer) section { return sectionOf([]byte(p[0].Text)) }

// operationError is the error of operation i.
func operationError(i int, err error) error {
	failed, ok := errors.AsType[*jsonpatch.Error](err)
	if !ok {
		return err
	}
	at := strconv.Itoa(i)
	e := &Error{
		Code: CodePatchFailed, Detail: "operation " + at + " cannot be applied",
		Fields: []FieldError{{Pointer: "/" + at + "/" + failed.Member, Detail: failed.Detail}},
	}
	switch failed.Reason {
	case jsonpatch.TestFailed:
		e.Code, e.Detail = CodePatchTestFailed, "operation "+at+" tests for a value that is not there"
	case jsonpatch.TooLarge:
		e.Code, e.Detail = CodeTooLarge, "the operations copy more than a session may hold"
	case jsonpatch.Inapplicable:
	}
	return e
}

// result returns cur with the changed sections of doc. They are validated as a body
// is. last holds the operation to blame for an invalid section.
func (ops *Operations) result(cur Sections, doc *jsonpatch.Document, last [sectionCount]int) (Sections, error) {
	next := cur
	var all fieldErrors
	for i := range sectionCount {
		if last[i] == 0 {
			continue
		}
		value := doc.Get(sectionNames[i])
		at := "/" + strconv.Itoa(last[i]-1)
		var found fieldErrors
		var err error
		if i == sectionUser {
			next.User = ops.user(cur.User, value, &found)
		} else {
			*next.freeForm(i), err = ops.freeForm(i, *cur.freeForm(i), value, &found)
		}
		if err != nil {
			return Sections{}, &Error{
				Code:   CodePatchFailed,
				Detail: "the result nests deeper than " + strconv.Itoa(maxDepth) + " levels",
				Fields: []FieldError{{Pointer: at + "/path", Detail: "the result nests too deep"}},
			}
		}
		for _, f := range found {
			all.add(at, "makes "+f.Pointer+" invalid: "+f.Detail)
		}
	}
	if err := all.err(); err != nil {
		return Sections{}, err
	}
	return next, nil
}

// user decodes the user after the operations; nil if they removed it. How and when
// another user signed in goes with the id, unless they say it anew.
func (*Operations) user(before *User, value []byte, m *fieldErrors) *User {
	if value == nil || jsonscan.IsNull(value) {
		return nil
	}
	after := readUserPatch(value, m).whole(m)
	if before != nil && after != nil && after.ID != before.ID && after.Auth.Equal(before.Auth) {
		after.Auth = nil
	}
	return after
}

// freeForm normalises a section after the operations; it is empty if they removed
// it. The section before them may violate rules that became stricter: see
// removesViolation.
func (ops *Operations) freeForm(i section, before, value []byte, m *fieldErrors) (jsontext.Value, error) {
	switch {
	case value == nil || jsonscan.IsNull(value):
		return emptyObject, nil
	case jsonscan.KindOf(value) != jsontext.KindBeginObject:
		m.add("/"+sectionNames[i], "must be an object or null")
		return emptyObject, nil
	}
	n := normalizer{
		rules: ops.rules, src: value, dst: make([]byte, 0, len(value)), sanitize: i == sectionInputs,
		violationState: violationState{inSection: true},
	}
	if n.sanitize {
		n.keepStrings = ops.rules.unsanitizedStrings(before)
	}
	name := pathStep{name: []byte(`"` + sectionNames[i] + `"`)}
	n.loc.push(name)
	out, err := n.appendValue(2)
	if err != nil && jsonscan.Depth(value) <= jsonscan.Depth(before) {
		n.pos, n.dst, n.loc, n.fieldErrors, n.depthLimit = 0, n.dst[:0], path{name}, nil, jsonscan.Depth(before)+1
		out, err = n.appendValue(2)
	}
	if len(n.fieldErrors) > 0 && (n.fatal || !ops.rules.removesViolation(before, out)) {
		*m = append(*m, n.fieldErrors...)
	}
	return out, err
}
