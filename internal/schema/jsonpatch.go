package schema

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Operations is a JSON Patch (RFC 6902) over the sections. Its paths start
// with the name of a section.
type Operations struct {
	rules *Rules
	list  []operation
}

// operation is one step of a JSON Patch.
type operation struct {
	op         string
	path, from pointer
	value      jsontext.Value // nil for operations without one
}

// section returns the section that the path leads into.
func (o *operation) section() section { return sectionOf([]byte(o.path[0].text)) }

// patchDocument is what operations work on: the sections as the members of one
// object. A removed section is absent from it until the end.
type patchDocument struct {
	root node
	// copied counts the bytes that copy operations added, up to limit: a few
	// of them could otherwise grow a document without end.
	copied, limit int
	effort        effort
}

// defaultCopyLimit bounds copy operations where documents have no limit.
const defaultCopyLimit = 16 << 20

// newPatchDocument returns the sections as a document to patch.
func newPatchDocument(s Sections, limit int) *patchDocument {
	if limit <= 0 {
		limit = defaultCopyLimit
	}
	sections := &container{object: true}
	for i, name := range sectionNames {
		var text []byte
		if section(i) == sectionUser {
			text = s.User.appendJSON(nil)
		} else {
			text = *s.freeForm(section(i))
		}
		sections.names = append(sections.names, appendQuoted(nil, name))
		sections.nodes = append(sections.nodes, &node{text: text})
	}
	return &patchDocument{root: node{inner: sections}, limit: limit, effort: effort{left: maxEffort}}
}

// TTL implements Change. A JSON Patch cannot ask for one.
func (*Operations) TTL() (time.Duration, bool) { return 0, false }

// Apply implements Change: all operations take effect, or none.
func (ops *Operations) Apply(cur Sections) (Sections, error) {
	if len(ops.list) == 0 {
		return cur, nil
	}
	doc := newPatchDocument(cur, ops.rules.MaxBytes)
	var last [sectionCount]int // the operation that changed a section last, plus 1
	for i := range ops.list {
		o := &ops.list[i]
		err := doc.apply(o)
		if doc.effort.spent() {
			err = errTooMuchWork
		}
		if err != nil {
			return Sections{}, operationError(i, err)
		}
		if o.op != "test" {
			last[o.section()] = i + 1
			if o.op == "move" {
				last[sectionOf([]byte(o.from[0].text))] = i + 1
			}
		}
	}
	return ops.result(cur, doc.root.inner, last)
}

// failure is why an operation cannot be applied, and which of its members is
// at fault.
type failure struct {
	code   Code
	member string
	detail string
}

func (f *failure) Error() string { return f.detail }

// operationError is the error of operation i.
func operationError(i int, err error) error {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: CodePatchFailed, member: "path", detail: err.Error()}
	}
	e := &Error{Code: f.code, Fields: []FieldError{{Pointer: "/" + strconv.Itoa(i) + "/" + f.member, Detail: f.detail}}}
	switch f.code {
	case CodePatchTestFailed:
		e.Detail = "operation " + strconv.Itoa(i) + " tests for a value that is not there"
	case CodeTooLarge:
		e.Detail = "the operations copy more than a session may hold"
	default:
		e.Detail = "operation " + strconv.Itoa(i) + " cannot be applied"
	}
	return e
}

// apply carries out one operation (RFC 6902 section 4).
func (d *patchDocument) apply(o *operation) error {
	switch o.op {
	case "add":
		return d.add(o.path, &node{text: o.value})
	case "remove":
		_, err := d.remove(o.path)
		return err
	case "replace":
		c, i, err := d.root.at(o.path, &d.effort)
		if err == nil {
			c.nodes[i] = &node{text: o.value}
		}
		return err
	case "test":
		return d.test(o.path, o.value)
	case "copy":
		return d.copy(o.from, o.path)
	default:
		return d.move(o.from, o.path)
	}
}

func (d *patchDocument) add(p pointer, n *node) error {
	c, err := d.root.parent(p, &d.effort)
	if err != nil {
		return err
	}
	last := p[len(p)-1]
	i, exists, err := c.find(last, &d.effort)
	if err == nil {
		c.put(i, exists, last, n, &d.effort)
	}
	return err
}

func (d *patchDocument) remove(p pointer) (*node, error) {
	c, i, err := d.root.at(p, &d.effort)
	if err != nil {
		return nil, err
	}
	return c.cut(i, &d.effort), nil
}

func (d *patchDocument) test(p pointer, value []byte) error {
	c, i, err := d.root.at(p, &d.effort)
	switch {
	case errors.Is(err, errMissing):
		return &failure{code: CodePatchTestFailed, member: "path", detail: err.Error()}
	case err != nil:
		return err
	case !c.nodes[i].equal(value, &d.effort):
		return &failure{code: CodePatchTestFailed, member: "value", detail: "the value at this path is another"}
	}
	return nil
}

func (d *patchDocument) copy(from, to pointer) error {
	c, i, err := d.root.at(from, &d.effort)
	if err != nil {
		return wrongFrom(err)
	}
	text := c.nodes[i].append(nil)
	if d.copied += len(text); d.copied > d.limit {
		return &failure{code: CodeTooLarge, member: "op", detail: "copies too much"}
	}
	return d.add(to, &node{text: text})
}

func (d *patchDocument) move(from, to pointer) error {
	if slices.Equal(from, to) { // changes nothing, not even an order
		_, _, err := d.root.at(from, &d.effort)
		if err != nil {
			return wrongFrom(err)
		}
		return nil
	}
	n, err := d.remove(from)
	if err != nil {
		return wrongFrom(err)
	}
	return d.add(to, n)
}

// wrongFrom is the failure of an operation whose from leads nowhere.
func wrongFrom(err error) error {
	return &failure{code: CodePatchFailed, member: "from", detail: err.Error()}
}

// result takes the changed sections out of doc, which started as cur. They are
// held to what a body is held to. last says which operation is to blame.
func (ops *Operations) result(cur Sections, doc *container, last [sectionCount]int) (Sections, error) {
	next := cur
	var all mistakes
	for i := range sectionCount {
		if last[i] == 0 {
			continue
		}
		var value []byte
		if at, exists, _ := doc.find(token{quoted: `"` + sectionNames[i] + `"`}, &effort{left: maxEffort}); exists {
			value = doc.nodes[at].append(nil)
		}
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
	if value == nil || isNull(value) {
		return nil
	}
	return readUserPatch(value, m).whole(m)
}

// freeForm normalises a section that the operations made of was; it is empty
// where they removed it. What was may hold what the rules have come to forbid
// since: see mends.
func (ops *Operations) freeForm(i section, was, value []byte, m *mistakes) (jsontext.Value, error) {
	switch {
	case value == nil || isNull(value):
		return emptyObject, nil
	case kindOf(value) != jsontext.KindBeginObject:
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
	if err != nil && depth(value) <= depth(was) {
		n.at, n.dst, n.where, n.mistakes, n.deepest = 0, n.dst[:0], path{name}, nil, depth(was)+1
		out, err = n.value(2)
	}
	if len(n.mistakes) > 0 && (n.grave || !ops.rules.mends(was, out)) {
		*m = append(*m, n.mistakes...)
	}
	return out, err
}
