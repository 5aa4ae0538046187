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

// result takes the changed sections out of doc, which started as cur. They are
// held to what a body is held to. last says which operation is to blame.
func (ops *Operations) result(cur Sections, doc *jsonpatch.Document, last [sectionCount]int) (Sections, error) {
	next := cur
	var all mistakes
	for i := range sectionCount {
		if last[i] == 0 {
			continue
		}
		value := doc.Get(sectionNames[i])
		at := "/" + strconv.Itoa(last[i]-1)
		var found mistakes
		var err error
		if i == sectionUser {
			next.User = ops.user(value, &found)
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

// user reads the user that the operations made; nil where they removed it.
func (*Operations) user(value []byte, m *mistakes) *User {
	if value == nil || jsonscan.IsNull(value) {
		return nil
	}
	return readUserPatch(value, m).whole(m)
}

// freeForm normalises a section that the operations made of was; it is empty
// where they removed it. What was may hold what the rules have come to forbid
// since: see mends.
func (ops *Operations) freeForm(i section, was, value []byte, m *mistakes) (jsontext.Value, error) {
	switch {
	case value == nil || jsonscan.IsNull(value):
		return emptyObject, nil
	case jsonscan.KindOf(value) != jsontext.KindBeginObject:
		m.add("/"+sectionNames[i], "must be an object or null")
		return emptyObject, nil
	}
	n := normalizer{
		rules: ops.rules, src: value, dst: make([]byte, 0, len(value)), clean: i == sectionInputs,
		standing: standing{inSection: true},
	}
	if n.clean {
		n.keep = ops.rules.uncleaned(was)
	}
	name := step{name: []byte(`"` + sectionNames[i] + `"`)}
	n.where.push(name)
	out, err := n.value(2)
	if err != nil && jsonscan.Depth(value) <= jsonscan.Depth(was) {
		n.at, n.dst, n.where, n.mistakes, n.deepest = 0, n.dst[:0], path{name}, nil, jsonscan.Depth(was)+1
		out, err = n.value(2)
	}
	if len(n.mistakes) > 0 && (n.grave || !ops.rules.mends(was, out)) {
		*m = append(*m, n.mistakes...)
	}
	return out, err
}
