package schema

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"sync"
	"unicode/utf8"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// bodyDecoder is a decoder with the buffer that it reads, kept together so
// that both are used again.
type bodyDecoder struct {
	dec jsontext.Decoder
	src bytes.Buffer
}

var bodyDecoders = sync.Pool{New: func() any { return new(bodyDecoder) }}

// wellFormed checks that body is one JSON value of the kind as RFC 7493
// (I-JSON) has it: UTF-8, no duplicate names, no lone surrogates. It says
// nothing about numbers, which a normalizer checks.
func wellFormed(body []byte, kind jsontext.Kind) error {
	d, _ := bodyDecoders.Get().(*bodyDecoder) // New makes nothing else
	d.src = *bytes.NewBuffer(body)            // read in place, see jsontext.NewDecoder
	d.dec.Reset(&d.src)
	defer func() {
		d.src = bytes.Buffer{}
		d.dec.Reset(&d.src) // lets go of body
		bodyDecoders.Put(d)
	}()

	value, err := d.dec.ReadValue()
	if err != nil {
		return malformed(body, err)
	}
	got := value.Kind()
	if _, err = d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return invalidJSON("there is something after the JSON value")
	}
	switch {
	case got == kind:
		return nil
	case kind == jsontext.KindBeginArray:
		return invalidJSON("the body must be a JSON array")
	default:
		return invalidJSON("the body must be a JSON object")
	}
}

// malformed says what is wrong with body. The decoder's own words are left
// out, because they quote it.
func malformed(body []byte, err error) *Error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		e := invalidJSON("a member name occurs twice in one object")
		e.Fields = []FieldError{{Pointer: shortened(string(syntax.JSONPointer)), Detail: "the name occurs twice"}}
		return e
	case errors.Is(err, io.EOF):
		return invalidJSON("the body is empty")
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return invalidJSON("the body starts with a byte order mark")
	case !utf8.Valid(body):
		return invalidJSON("the body is not UTF-8")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalidJSON("the JSON value ends too early")
	case errors.As(err, &syntax):
		return invalidJSON("the JSON is malformed at byte " + strconv.FormatInt(syntax.ByteOffset, 10))
	default:
		return invalidJSON("the JSON is malformed")
	}
}

func invalidJSON(detail string) *Error { return &Error{Code: CodeInvalidJSON, Detail: detail} }

// normalizer copies a well-formed value in the form that a document keeps: no
// whitespace, member names in their shortest spelling (so that names are the
// same if their bytes are), strings cleaned where asked; all else, numbers
// above all, as it was sent. On its way it checks depth, member names, and that
// numbers are in range.
type normalizer struct {
	rules *Rules
	src   []byte
	at    int // the next byte of src
	dst   []byte

	// clean says that strings are to be sanitised by the rules.
	clean bool
	// anyName turns the check of member names off.
	anyName bool
	// anyNumber turns the check of numbers off: for what was stored before there
	// was one.
	anyNumber bool

	// where is the place of the value that is being copied, for pointers.
	where path
	mistakes
	standing
	// deepest is how deep values may nest; maxDepth where it is 0.
	deepest int
	// keep are strings, as they are spelt, that sanitising leaves alone.
	keep map[string]struct{}
}

// errTooDeep is a normalizer's only error; other mistakes it collects.
var errTooDeep = invalidJSON("the JSON nests deeper than " + strconv.Itoa(maxDepth) + " levels")

// space goes to the next byte that is no whitespace and returns it; 0 at the
// end.
func (n *normalizer) space() byte {
	for n.at < len(n.src) {
		if c := n.src[n.at]; c > ' ' {
			return c
		}
		n.at++
	}
	return 0
}

// separated goes past a comma or colon to the next byte and returns it.
func (n *normalizer) separated() byte {
	c := n.space()
	if c == ',' || c == ':' {
		n.at++
		c = n.space()
	}
	return c
}

// take returns the scalar or name at the present place and goes past it.
func (n *normalizer) take() []byte {
	start := n.at
	if n.at = jsonscan.ValueEnd(n.src, start); n.at == start {
		n.at = len(n.src) // src is a damaged document: come to an end
	}
	return n.src[start:n.at]
}

// value copies one value that stands at the level (the root's is 1) and
// returns the copy.
func (n *normalizer) value(level int) (jsontext.Value, error) {
	start := len(n.dst)
	var err error
	switch n.separated() {
	case '{':
		err = n.object(level)
	case '[':
		err = n.array(level)
	case '"':
		n.dst, _ = n.text(n.take())
	default:
		n.dst = append(n.dst, n.take()...)
		if scalar := n.dst[start:]; !n.anyNumber && jsonscan.KindOf(scalar) == jsontext.KindNumber && !jsonscan.InRange(scalar) {
			n.offend(jsonscan.TooLarge)
		}
	}
	return n.dst[start:len(n.dst):len(n.dst)], err
}

func (n *normalizer) array(level int) error {
	if level > max(maxDepth, n.deepest) {
		return errTooDeep
	}
	n.at++
	n.dst = append(n.dst, '[')
	for i := 0; ; i++ {
		if c := n.separated(); c == ']' || c == 0 {
			break
		}
		if i > 0 {
			n.dst = append(n.dst, ',')
		}
		n.where.push(step{index: i})
		if _, err := n.value(level + 1); err != nil {
			return err
		}
		n.where.pop()
	}
	n.at++
	n.dst = append(n.dst, ']')
	return nil
}

func (n *normalizer) object(level int) error {
	if level > max(maxDepth, n.deepest) {
		return errTooDeep
	}
	n.at++
	start := len(n.dst)
	n.dst = append(n.dst, '{')
	renamed := false
	for first := true; ; first = false {
		if c := n.separated(); c == '}' || c == 0 {
			break
		}
		if !first {
			n.dst = append(n.dst, ',')
		}
		n.where.push(step{name: n.take()})
		renamed = n.name() || renamed
		n.dst = append(n.dst, ':')
		if _, err := n.value(level + 1); err != nil {
			return err
		}
		n.where.pop()
	}
	n.at++
	n.dst = append(n.dst, '}')
	if renamed && jsonscan.HasDuplicateNames(n.dst[start:]) {
		n.grave = true
		n.add(n.where.pointer(), "two member names are the same once they are sanitised")
	}
	return nil
}

// text appends a string, sanitised where that is asked for.
func (n *normalizer) text(quoted []byte) (_ []byte, changed bool) {
	_, keep := n.keep[string(quoted)]
	return n.rules.appendString(n.dst, quoted, n.clean && !keep)
}

// name copies the member name that where ends with, and reports whether
// sanitising changed it.
func (n *normalizer) name() (changed bool) {
	start := len(n.dst)
	n.dst, changed = n.text(n.where[len(n.where)-1].name)
	if bytes.IndexByte(n.dst[start:], '\\') >= 0 {
		text := jsonscan.Unquote(n.dst[start:])
		n.dst, _ = jsontext.AppendQuote(n.dst[:start], text) // text is UTF-8: it was checked
	}
	if !n.anyName && n.rules.forbids(jsonscan.Unquote(n.dst[start:])) {
		n.offend("this member name is not allowed")
	}
	return changed
}

// members goes through the members of the object at the present place and
// yields their names, unquoted. The caller copies each member's value, and
// stops at the first error.
func (n *normalizer) members() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		n.at++
		for {
			if c := n.separated(); c == '}' || c == 0 {
				n.at++
				return
			}
			quoted := n.take()
			n.where.push(step{name: quoted})
			if !yield(jsonscan.Unquote(quoted)) {
				return
			}
			n.where.pop()
		}
	}
}
