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
	if err := checkSyntax(body, jsontext.KindBeginArray); err != nil {
		return nil, err
	}
	d := operationsDecoder{n: normalizer{
		rules: r, src: body, dst: make([]byte, 0, len(body)), violationState: violationState{inSection: true},
	}}
	ops := &Operations{rules: r}
	d.n.skipSpace()
	d.n.pos++
	for i := 0; ; i++ {
		if c := d.n.skipSeparator(); c == ']' || c == 0 {
			break
		}
		if i == maxOperations {
			return nil, &Error{
				Code:   CodePatchFailed,
				Detail: "a patch may have at most " + strconv.Itoa(maxOperations) + " operations",
			}
		}
		d.n.loc = append(d.n.loc[:0], pathStep{index: i})
		o, err := d.operation()
		if err != nil {
			return nil, err
		}
		ops.list = append(ops.list, o)
	}
	if err := d.err(); err != nil {
		return nil, d.n.tolerateStored(err, len(d.opErrors) > 0, &tolerantChange{Change: ops, rules: r, isJSONPatch: true})
	}
	return ops, nil
}

// operationsDecoder decodes the elements of a JSON Patch.
type operationsDecoder struct {
	n normalizer // collects field errors in values
	// opErrors are the field errors in the operations themselves.
	opErrors fieldErrors
}

// err returns all field errors as one error.
func (d *operationsDecoder) err() error {
	if len(d.opErrors) == 0 {
		return d.n.err()
	}
	for _, f := range d.n.fieldErrors {
		d.opErrors.add(f.Pointer, f.Detail)
	}
	return &Error{Code: CodePatchFailed, Detail: "the body is not a valid JSON Patch", Fields: d.opErrors}
}

// addError adds a field error for a member of the current operation, or for the
// operation itself if name is empty.
func (d *operationsDecoder) addError(name, detail string) {
	at := d.n.loc[:1].pointer()
	if name != "" {
		at += "/" + name
	}
	d.opErrors.add(at, detail)
}

// rawOperation holds the members of an operation as they were sent; nil where
// absent.
type rawOperation struct{ op, path, from, value jsontext.Value }

// field returns the field for the member of that name; nil for members that RFC 6902
// does not define, which are ignored, as its section 4 requires.
func (raw *rawOperation) field(name []byte) *jsontext.Value {
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
	if d.n.src[d.n.pos] != '{' {
		d.addError("", "must be an object")
		_, err := d.n.appendValue(2)
		return jsonpatch.Operation{}, err
	}
	var raw rawOperation
	for name := range d.n.members() {
		value, err := d.n.appendValue(3)
		if err != nil {
			return jsonpatch.Operation{}, err
		}
		if field := raw.field(name); field != nil {
			*field = value
		}
	}
	o := jsonpatch.Operation{Value: raw.value, Path: d.pointerMember("path", raw.path)}
	o.Op, _ = d.stringMember("op", raw.op)
	switch o.Op {
	case jsonpatch.Add, jsonpatch.Replace, jsonpatch.Test:
		if raw.value == nil {
			d.addError("value", "is required")
		}
	case jsonpatch.Copy, jsonpatch.Move:
		o.From = d.pointerMember("from", raw.from)
	case jsonpatch.Remove:
	default:
		d.addError("op", "must be add, remove, replace, move, copy or test")
	}
	if o.Op == jsonpatch.Move && o.From != nil && o.Path.Within(o.From) {
		d.addError("path", "a value cannot be moved into itself")
	}
	return o, nil
}

// text returns a member that must be a string.
func (d *operationsDecoder) stringMember(name string, value jsontext.Value) (_ string, ok bool) {
	switch {
	case value == nil:
		d.addError(name, "is required")
	case value.Kind() != jsontext.KindString:
		d.addError(name, "must be a string")
	default:
		return string(jsonscan.Unquote(value)), true
	}
	return "", false
}

// pointerMember returns a member that must be a JSON Pointer into a section; nil
// after a field error.
func (d *operationsDecoder) pointerMember(name string, value jsontext.Value) jsonpatch.Pointer {
	text, ok := d.stringMember(name, value)
	if !ok {
		return nil
	}
	if strings.Count(text, "/") > maxDepth {
		d.addError(name, "is longer than a session is deep")
		return nil
	}
	p, ok := jsonpatch.ParsePointer(text)
	if !ok {
		d.addError(name, "is not a JSON Pointer")
		return nil
	}
	into := noSection
	if len(p) > 0 {
		into = sectionOf([]byte(p[0].Text))
	}
	if into == noSection {
		d.addError(name, "must lead into user, inputs, apiConfig, results or meta")
		return nil
	}
	if into != sectionUser { // a user has no other members anyway
		for _, t := range p[1:] {
			if d.n.rules.forbids([]byte(t.Text)) {
				d.n.add(d.n.loc[:1].pointer()+"/"+name, "leads through a member name that is not allowed")
				break
			}
		}
	}
	return p
}
