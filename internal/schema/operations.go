package schema

import (
	"strconv"
	"strings"

	"session-api/internal/jsonpatch"
	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeOperations reads a JSON Patch. The error is an *Error.
func (r *Rules) DecodeOperations(body []byte) (*Operations, error) {
	if err := wellFormed(body, jsontext.KindBeginArray); err != nil {
		return nil, err
	}
	d := operationsDecoder{n: normalizer{
		rules: r, src: body, dst: make([]byte, 0, len(body)), standing: standing{inSection: true},
	}}
	ops := &Operations{rules: r}
	d.n.space()
	d.n.at++
	for i := 0; ; i++ {
		if c := d.n.separated(); c == ']' || c == 0 {
			break
		}
		if i == maxOperations {
			return nil, &Error{
				Code:   CodePatchFailed,
				Detail: "a patch may have at most " + strconv.Itoa(maxOperations) + " operations",
			}
		}
		d.n.where = append(d.n.where[:0], step{index: i})
		o, err := d.operation()
		if err != nil {
			return nil, err
		}
		ops.list = append(ops.list, o)
	}
	if err := d.err(); err != nil {
		return nil, d.n.unless(err, len(d.wrong) > 0, &standingChange{Change: ops, rules: r, edits: true})
	}
	return ops, nil
}

// operationsDecoder reads the elements of a JSON Patch.
type operationsDecoder struct {
	n normalizer // its mistakes are in values
	// wrong are the mistakes in operations themselves.
	wrong mistakes
}

// err returns all mistakes as one error.
func (d *operationsDecoder) err() error {
	if len(d.wrong) == 0 {
		return d.n.err()
	}
	for _, f := range d.n.mistakes {
		d.wrong.add(f.Pointer, f.Detail)
	}
	return &Error{Code: CodePatchFailed, Detail: "the body is not a valid JSON Patch", Fields: d.wrong}
}

// fail notes a mistake in a member of the present operation; an empty name
// stands for the operation itself.
func (d *operationsDecoder) fail(name, detail string) {
	at := d.n.where[:1].pointer()
	if name != "" {
		at += "/" + name
	}
	d.wrong.add(at, detail)
}

// rawOperation holds the members of an operation as they were sent; nil where
// absent.
type rawOperation struct{ op, path, from, value jsontext.Value }

// place returns where the member of that name goes; nil for members that
// RFC 6902 does not define, which are ignored, as its section 4 has it.
func (raw *rawOperation) place(name []byte) *jsontext.Value {
	switch string(name) {
	case "op":
		return &raw.op
	case "path":
		return &raw.path
	case "from":
		return &raw.from
	case "value":
		return &raw.value
	}
	return nil
}

// operation reads one operation. Its only error is errTooDeep.
func (d *operationsDecoder) operation() (jsonpatch.Operation, error) {
	if d.n.src[d.n.at] != '{' {
		d.fail("", "must be an object")
		_, err := d.n.value(2)
		return jsonpatch.Operation{}, err
	}
	var raw rawOperation
	for name := range d.n.members() {
		value, err := d.n.value(3)
		if err != nil {
			return jsonpatch.Operation{}, err
		}
		if place := raw.place(name); place != nil {
			*place = value
		}
	}
	o := jsonpatch.Operation{Value: raw.value, Path: d.pointer("path", raw.path)}
	o.Op, _ = d.text("op", raw.op)
	switch o.Op {
	case jsonpatch.Add, jsonpatch.Replace, jsonpatch.Test:
		if raw.value == nil {
			d.fail("value", "is required")
		}
	case jsonpatch.Copy, jsonpatch.Move:
		o.From = d.pointer("from", raw.from)
	case jsonpatch.Remove:
	default:
		d.fail("op", "must be add, remove, replace, move, copy or test")
	}
	if o.Op == jsonpatch.Move && o.From != nil && o.Path.Within(o.From) {
		d.fail("path", "a value cannot be moved into itself")
	}
	return o, nil
}

// text returns a member that must be a string.
func (d *operationsDecoder) text(name string, value jsontext.Value) (_ string, ok bool) {
	switch {
	case value == nil:
		d.fail(name, "is required")
	case value.Kind() != jsontext.KindString:
		d.fail(name, "must be a string")
	default:
		return string(jsonscan.Unquote(value)), true
	}
	return "", false
}

// pointer returns a member that must be a JSON Pointer into a section; nil
// after a mistake.
func (d *operationsDecoder) pointer(name string, value jsontext.Value) jsonpatch.Pointer {
	text, ok := d.text(name, value)
	if !ok {
		return nil
	}
	if strings.Count(text, "/") > maxDepth {
		d.fail(name, "is longer than a session is deep")
		return nil
	}
	p, ok := jsonpatch.ParsePointer(text)
	if !ok {
		d.fail(name, "is not a JSON Pointer")
		return nil
	}
	into := noSection
	if len(p) > 0 {
		into = sectionOf([]byte(p[0].Text))
	}
	if into == noSection {
		d.fail(name, "must lead into user, inputs, apiConfig, results or meta")
		return nil
	}
	if into != sectionUser { // a user has no other members anyway
		for _, t := range p[1:] {
			if d.n.rules.forbids([]byte(t.Text)) {
				d.n.add(d.n.where[:1].pointer()+"/"+name, "leads through a member name that is not allowed")
				break
			}
		}
	}
	return p
}
