package jsonpatch

import (
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// The operations of RFC 6902 section 4.
const (
	Add     = "add"
	Remove  = "remove"
	Replace = "replace"
	Move    = "move"
	Copy    = "copy"
	Test    = "test"
)

// Operation is one step of a JSON Patch.
type Operation struct {
	Op string
	// Path and From have one token at least. From is nil for operations without
	// one, as is Value.
	Path, From Pointer
	Value      jsontext.Value
}

// Document is an object that operations work on. It takes text to pieces only
// where an operation leads.
type Document struct {
	root node
	// copied counts the bytes that copy operations added, up to copyLimit: a few
	// of them could otherwise grow a document without end.
	copied, copyLimit int
	limit             limit
}

// NewDocument returns an empty object. Copy operations may add as many bytes as
// copyLimit.
func NewDocument(copyLimit int) *Document {
	return &Document{
		root: node{inner: &container{object: true}}, copyLimit: copyLimit, limit: limit{left: maxWork},
	}
}

// Set adds a member that there is not yet, with a value that is compact and
// normalised.
func (d *Document) Set(name string, value []byte) {
	c := d.root.inner
	c.put(len(c.nodes), false, Name(name), &node{text: value}, &d.limit)
}

// Get returns the value of a member; nil where there is none.
func (d *Document) Get(name string) []byte {
	i, exists, err := d.root.inner.find(Name(name), &limit{left: maxWork})
	if err != nil || !exists {
		return nil
	}
	return d.root.inner.nodes[i].append(nil)
}

// Reason is why an operation cannot be applied.
type Reason int

// The reasons.
const (
	// Inapplicable: it leads nowhere, or would take too much work.
	Inapplicable Reason = iota
	// TestFailed: it tests for a value that is not there.
	TestFailed
	// TooLarge: the operations so far copy more than they may.
	TooLarge
)

// Error says why an operation cannot be applied.
type Error struct {
	Reason Reason
	// Member is the operation's member that is at fault.
	Member string
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Apply carries out one operation (RFC 6902 section 4). After an *Error, which is
// its only error, the document is of no more use.
func (d *Document) Apply(o *Operation) error {
	err := d.apply(o)
	if d.limit.exceeded() {
		return &Error{Member: "op", Detail: "the operations up to this one take more work than a patch may"}
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Member: "path", Detail: err.Error()}
}

func (d *Document) apply(o *Operation) error {
	switch o.Op {
	case Add:
		return d.add(o.Path, &node{text: o.Value})
	case Remove:
		_, err := d.remove(o.Path)
		return err
	case Replace:
		c, i, err := d.root.at(o.Path, &d.limit)
		if err == nil {
			c.nodes[i] = &node{text: o.Value}
		}
		return err
	case Test:
		return d.test(o.Path, o.Value)
	case Copy:
		return d.copy(o.From, o.Path)
	default:
		return d.move(o.From, o.Path)
	}
}

func (d *Document) add(p Pointer, n *node) error {
	c, err := d.root.parent(p, &d.limit)
	if err != nil {
		return err
	}
	last := p[len(p)-1]
	i, exists, err := c.find(last, &d.limit)
	if err == nil {
		c.put(i, exists, last, n, &d.limit)
	}
	return err
}

func (d *Document) remove(p Pointer) (*node, error) {
	c, i, err := d.root.at(p, &d.limit)
	if err != nil {
		return nil, err
	}
	return c.cut(i, &d.limit), nil
}

func (d *Document) test(p Pointer, value []byte) error {
	c, i, err := d.root.at(p, &d.limit)
	switch {
	case errors.Is(err, errMissing):
		return &Error{Reason: TestFailed, Member: "path", Detail: err.Error()}
	case err != nil:
		return err
	case !c.nodes[i].equal(value, &d.limit):
		return &Error{Reason: TestFailed, Member: "value", Detail: "the value at this path is another"}
	}
	return nil
}

func (d *Document) copy(from, to Pointer) error {
	c, i, err := d.root.at(from, &d.limit)
	if err != nil {
		return wrongFrom(err)
	}
	text := c.nodes[i].append(nil)
	if d.copied += len(text); d.copied > d.copyLimit {
		return &Error{Reason: TooLarge, Member: "op", Detail: "copies too much"}
	}
	return d.add(to, &node{text: text})
}

func (d *Document) move(from, to Pointer) error {
	if slices.Equal(from, to) { // changes nothing, not even an order
		_, _, err := d.root.at(from, &d.limit)
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
	return &Error{Member: "from", Detail: err.Error()}
}
