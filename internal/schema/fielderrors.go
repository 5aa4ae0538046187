package schema

import (
	"slices"
	"strconv"
	"strings"

	"session-api/internal/jsonscan"
)

// fieldErrors collects all that is wrong with a body, to report it in one answer.
type fieldErrors []FieldError

// add appends a field error, unless the pointer has one already or maxFieldErrors
// is reached.
func (m *fieldErrors) add(pointer, detail string) {
	pointer = truncatePointer(pointer)
	taken := slices.ContainsFunc(*m, func(f FieldError) bool { return f.Pointer == pointer })
	if !taken && len(*m) < maxFieldErrors {
		*m = append(*m, FieldError{Pointer: pointer, Detail: detail})
	}
}

// err returns the field errors as one *Error, or nil if there are none.
func (m fieldErrors) err() error {
	if len(m) == 0 {
		return nil
	}
	return &Error{Code: CodeValidationFailed, Detail: "the body is not valid", Fields: m}
}

// pathStep is one step of a path: a member's quoted name or, if that is nil, an
// array index.
type pathStep struct {
	name  []byte
	index int
}

// path is the location of a value in a body.
type path []pathStep

func (p *path) push(s pathStep) { *p = append(*p, s) }
func (p *path) pop()            { *p = (*p)[:len(*p)-1] }

// pointer returns the path as a JSON Pointer. If that would exceed maxPointer, it
// returns the pointer of the innermost enclosing value that does not: a hostile
// body must cause neither a large answer nor much work.
func (p path) pointer() string {
	const escape = len(`\u0000`) // what one byte of a name takes at most
	ptr := make([]byte, 0, 64)
	for _, s := range p {
		if len(s.name) > escape*maxPointer {
			break
		}
		end := len(ptr)
		ptr = append(ptr, '/')
		if s.name == nil {
			ptr = strconv.AppendInt(ptr, int64(s.index), 10)
		}
		for _, c := range jsonscan.Unquote(s.name) {
			switch c {
			case '~':
				ptr = append(ptr, "~0"...)
			case '/':
				ptr = append(ptr, "~1"...)
			default:
				ptr = append(ptr, c)
			}
		}
		if len(ptr) > maxPointer {
			ptr = ptr[:end]
			break
		}
	}
	return string(ptr)
}

// truncatePointer shortens a pointer in the same way.
func truncatePointer(pointer string) string {
	for len(pointer) > maxPointer {
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	return pointer
}
