package jsonpatch

import (
	"errors"
	"slices"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// node is a value that is being patched. It stays text until an operation
// leads into it; its parts are text again until one leads into them. So a
// patch costs what it touches, however many operations it has.
type node struct {
	text  []byte     // normalised; out of date once inner is set
	inner *container // nil for text
}

// container is the inside of an object or array.
type container struct {
	object bool
	names  [][]byte // quoted, one for each node of an object
	nodes  []*node
}

// Why a pointer leads nowhere.
var (
	errMissing  = errors.New("there is nothing at this place")
	errBadIndex = errors.New("an array index must be digits without a leading zero")
)

// open returns the inside of n.
func (n *node) open() (*container, error) {
	if n.inner == nil {
		switch jsonscan.KindOf(n.text) {
		case jsontext.KindBeginObject:
			n.inner = openObject(n.text)
		case jsontext.KindBeginArray:
			n.inner = openArray(n.text)
		default:
			return nil, errMissing
		}
	}
	return n.inner, nil
}

func openObject(text []byte) *container {
	c := &container{object: true}
	var nodes nodeBlock
	for m, ok := jsonscan.NextMember(text, 1); ok; m, ok = jsonscan.NextMember(text, m.End) {
		c.names = append(c.names, m.Name(text))
		c.nodes = append(c.nodes, nodes.take(m.Value(text)))
	}
	return c
}

func openArray(text []byte) *container {
	c := &container{}
	var nodes nodeBlock
	for start, end, ok := jsonscan.NextElement(text, 1); ok; start, end, ok = jsonscan.NextElement(text, end) {
		c.nodes = append(c.nodes, nodes.take(text[start:end]))
	}
	return c
}

// nodeBlock hands out nodes that it allocates some at a time.
type nodeBlock []node

func (b *nodeBlock) take(text []byte) *node {
	if len(*b) == 0 {
		*b = make([]node, 32)
	}
	n := &(*b)[0]
	n.text = text
	*b = (*b)[1:]
	return n
}

// append appends the value as compact JSON.
func (n *node) append(dst []byte) []byte {
	if n.inner == nil {
		return append(dst, n.text...)
	}
	open, closing := byte('['), byte(']')
	if n.inner.object {
		open, closing = '{', '}'
	}
	dst = append(dst, open)
	for i, kid := range n.inner.nodes {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n.inner.object {
			dst = append(dst, n.inner.names[i]...)
			dst = append(dst, ':')
		}
		dst = kid.append(dst)
	}
	return append(dst, closing)
}

// find returns where in c the token leads; exists says whether there is a
// value. Where there is none it is the place for a new one, which in an array
// is the end alone, be it written as an index or as "-".
func (c *container) find(t Token, l *limit) (i int, exists bool, err error) {
	if c.object {
		for i, name := range c.names {
			if string(name) == t.quoted {
				l.names(i)
				return i, true, nil
			}
		}
		l.names(len(c.names))
		return len(c.nodes), false, nil
	}
	if t.Text == "-" {
		return len(c.nodes), false, nil
	}
	i, ok := t.Index()
	switch {
	case !ok:
		return 0, false, errBadIndex
	case i > len(c.nodes):
		return 0, false, errMissing
	}
	return i, i < len(c.nodes), nil
}

// put gives the place i of find a value: in an object it replaces what is
// there, in an array it comes before that.
func (c *container) put(i int, exists bool, t Token, n *node, l *limit) {
	switch {
	case !c.object:
		l.moved(len(c.nodes) - i)
		c.nodes = slices.Insert(c.nodes, i, n)
	case exists:
		c.nodes[i] = n
	default:
		c.names = append(c.names, []byte(t.quoted))
		c.nodes = append(c.nodes, n)
	}
}

// cut takes out the value at i.
func (c *container) cut(i int, l *limit) *node {
	n := c.nodes[i]
	l.moved(len(c.nodes) - i)
	c.nodes = slices.Delete(c.nodes, i, i+1)
	if c.object {
		c.names = slices.Delete(c.names, i, i+1)
	}
	return n
}

// parent follows all of p but its last Token.
func (n *node) parent(p Pointer, l *limit) (*container, error) {
	for {
		c, err := n.open()
		if err != nil || len(p) == 1 {
			return c, err
		}
		i, exists, err := c.find(p[0], l)
		switch {
		case err != nil:
			return nil, err
		case !exists:
			return nil, errMissing
		}
		n, p = c.nodes[i], p[1:]
	}
}

// at returns where p leads, which must be a value.
func (n *node) at(p Pointer, l *limit) (c *container, i int, err error) {
	if c, err = n.parent(p, l); err != nil {
		return nil, 0, err
	}
	i, exists, err := c.find(p[len(p)-1], l)
	if err == nil && !exists {
		err = errMissing
	}
	return c, i, err
}

// equal reports whether n and a normalised value are equal, see equalJSON.
func (n *node) equal(value []byte, l *limit) bool {
	switch {
	case n.inner == nil:
		return l.equalJSON(n.text, value)
	case n.inner.object:
		return n.inner.equalObject(value, l)
	default:
		return n.inner.equalArray(value, l)
	}
}

func (c *container) equalArray(value []byte, l *limit) bool {
	if jsonscan.KindOf(value) != jsontext.KindBeginArray {
		return false
	}
	count := 0
	for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
		if count == len(c.nodes) || !c.nodes[count].equal(value[start:end], l) {
			return false
		}
		count++
	}
	return count == len(c.nodes)
}

func (c *container) equalObject(value []byte, l *limit) bool {
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		return false
	}
	var few [fewMembers]member
	members := readMembers(few[:0], value)
	if len(members.list) != len(c.nodes) {
		return false
	}
	for i, name := range c.names {
		m := members.find(name)
		if m == nil || !c.nodes[i].equal(m.value, l) {
			return false
		}
	}
	return true
}
