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

// syntaxChecker is a decoder and the buffer that it reads, pooled together.
type syntaxChecker struct {
	dec jsontext.Decoder
	src bytes.Buffer
}

var syntaxCheckers = sync.Pool{New: func() any { return new(syntaxChecker) }}

// checkSyntax checks that body is one JSON value of the kind, as RFC 7493 (I-JSON)
// requires: UTF-8, no duplicate names, no lone surrogates. The range of numbers is
// checked by normalizer.
func checkSyntax(body []byte, kind jsontext.Kind) error {
	d, _ := syntaxCheckers.Get().(*syntaxChecker) // New makes nothing else
	d.src = *bytes.NewBuffer(body)                // read in place, see jsontext.NewDecoder
	d.dec.Reset(&d.src)
	defer func() {
		d.src = bytes.Buffer{}
		d.dec.Reset(&d.src) // lets go of body
		syntaxCheckers.Put(d)
	}()

	value, err := d.dec.ReadValue()
	if err != nil {
		return syntaxError(body, err)
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

// syntaxError describes what is wrong with body. The decoder's own message is left
// out, because it quotes the body.
func syntaxError(body []byte, err error) *Error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		e := invalidJSON("a member name occurs twice in one object")
		e.Fields = []FieldError{{Pointer: truncatePointer(string(syntax.JSONPointer)), Detail: "the name occurs twice"}}
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

// normalizer copies a well-formed value into the form that documents have: without
// whitespace, with member names in their shortest spelling (so that equal names have
// equal bytes), and with strings sanitised if sanitize is set. Everything else,
// numbers above all, stays as it was sent. It checks nesting depth, member names and
// the range of numbers.
type normalizer struct {
	rules *Rules
	src   []byte
	pos   int // the next byte of src
	dst   []byte

	// sanitize makes strings be sanitised by the rules.
	sanitize bool
	// skipNameCheck turns off the check of member names.
	skipNameCheck bool
	// skipRangeCheck turns off the check of numbers, for documents that were stored
	// before there was one.
	skipRangeCheck bool

	// loc is the location of the current value, for pointers.
	loc path
	fieldErrors
	violationState
	// depthLimit bounds the nesting if it is larger than maxDepth.
	depthLimit int
	// keepStrings are quoted strings that are not sanitised.
	keepStrings map[string]struct{}
}

// errTooDeep is the only error of a normalizer; it collects all others as field
// errors.
var errTooDeep = invalidJSON("the JSON nests deeper than " + strconv.Itoa(maxDepth) + " levels")

// skipSpace advances to the next byte that is not whitespace and returns it; 0 at
// the end.
func (n *normalizer) skipSpace() byte {
	for n.pos < len(n.src) {
		if c := n.src[n.pos]; c > ' ' {
			return c
		}
		n.pos++
	}
	return 0
}

// skipSeparator advances over a comma or colon to the next byte and returns it.
func (n *normalizer) skipSeparator() byte {
	c := n.skipSpace()
	if c == ',' || c == ':' {
		n.pos++
		c = n.skipSpace()
	}
	return c
}

// takeToken returns the scalar or name at the current position and advances over it.
func (n *normalizer) takeToken() []byte {
	start := n.pos
	if n.pos = jsonscan.ValueEnd(n.src, start); n.pos == start {
		n.pos = len(n.src) // src is a damaged document: come to an end
	}
	return n.src[start:n.pos]
}

// appendValue copies one value at the nesting level (the root's is 1) and returns
// the copy.
func (n *normalizer) appendValue(level int) (jsontext.Value, error) {
	start := len(n.dst)
	var err error
	switch n.skipSeparator() {
	case '{':
		err = n.appendObject(level)
	case '[':
		err = n.appendArray(level)
	case '"':
		n.dst, _ = n.appendString(n.takeToken())
	default:
		n.dst = append(n.dst, n.takeToken()...)
		if scalar := n.dst[start:]; !n.skipRangeCheck && jsonscan.KindOf(scalar) == jsontext.KindNumber && !jsonscan.InRange(scalar) {
			n.addViolation(jsonscan.TooLarge)
		}
	}
	return n.dst[start:len(n.dst):len(n.dst)], err
}

func (n *normalizer) appendArray(level int) error {
	if level > max(maxDepth, n.depthLimit) {
		return errTooDeep
	}
	n.pos++
	n.dst = append(n.dst, '[')
	for i := 0; ; i++ {
		if c := n.skipSeparator(); c == ']' || c == 0 {
			break
		}
		if i > 0 {
			n.dst = append(n.dst, ',')
		}
		n.loc.push(pathStep{index: i})
		if _, err := n.appendValue(level + 1); err != nil {
			return err
		}
		n.loc.pop()
	}
	n.pos++
	n.dst = append(n.dst, ']')
	return nil
}

func (n *normalizer) appendObject(level int) error {
	if level > max(maxDepth, n.depthLimit) {
		return errTooDeep
	}
	n.pos++
	start := len(n.dst)
	n.dst = append(n.dst, '{')
	renamed := false
	for first := true; ; first = false {
		if c := n.skipSeparator(); c == '}' || c == 0 {
			break
		}
		if !first {
			n.dst = append(n.dst, ',')
		}
		n.loc.push(pathStep{name: n.takeToken()})
		renamed = n.appendName() || renamed
		n.dst = append(n.dst, ':')
		if _, err := n.appendValue(level + 1); err != nil {
			return err
		}
		n.loc.pop()
	}
	n.pos++
	n.dst = append(n.dst, '}')
	if renamed && jsonscan.HasDuplicateNames(n.dst[start:]) {
		n.fatal = true
		n.add(n.loc.pointer(), "two member names are the same once they are sanitised")
	}
	return nil
}

// appendString appends a string, sanitised if sanitize is set.
func (n *normalizer) appendString(quoted []byte) (_ []byte, changed bool) {
	_, keep := n.keepStrings[string(quoted)]
	return n.rules.appendString(n.dst, quoted, n.sanitize && !keep)
}

// appendName copies the member name that loc ends with, and reports whether
// sanitising changed it.
func (n *normalizer) appendName() (changed bool) {
	start := len(n.dst)
	n.dst, changed = n.appendString(n.loc[len(n.loc)-1].name)
	if bytes.IndexByte(n.dst[start:], '\\') >= 0 {
		text := jsonscan.Unquote(n.dst[start:])
		n.dst, _ = jsontext.AppendQuote(n.dst[:start], text) // text is UTF-8: it was checked
	}
	if !n.skipNameCheck && n.rules.forbids(jsonscan.Unquote(n.dst[start:])) {
		n.addViolation("this member name is not allowed")
	}
	return changed
}

// members iterates over the member names, unquoted, of the object at the current
// position. The caller copies each member's value, and stops at the first error.
func (n *normalizer) members() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		n.pos++
		for {
			if c := n.skipSeparator(); c == '}' || c == 0 {
				n.pos++
				return
			}
			quoted := n.takeToken()
			n.loc.push(pathStep{name: quoted})
			if !yield(jsonscan.Unquote(quoted)) {
				return
			}
			n.loc.pop()
		}
	}
}
