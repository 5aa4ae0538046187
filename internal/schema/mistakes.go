package schema

import (
	"slices"
	"strconv"
	"strings"

	"session-api/internal/jsonscan"
)

// mistakes collects what is wrong with a body, so that a client hears of all
// of it at once.
type mistakes []FieldError

// add notes a mistake, unless there is one at that place already, or enough
// altogether.
func (m *mistakes) add(pointer, detail string) {
	pointer = shortened(pointer)
	taken := slices.ContainsFunc(*m, func(f FieldError) bool { return f.Pointer == pointer })
	if !taken && len(*m) < maxFieldErrors {
		*m = append(*m, FieldError{Pointer: pointer, Detail: detail})
	}
}

// err returns the mistakes as one error; nil where there are none.
func (m mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return &Error{Code: CodeValidationFailed, Detail: "the body is not valid", Fields: m}
}

// step leads from a value to one within it: by a member's quoted name or, if
// that is nil, by an index.
type step struct {
	name  []byte
	index int
}

// path is the place of a value.
type path []step

func (p *path) push(s step) { *p = append(*p, s) }
func (p *path) pop()        { *p = (*p)[:len(*p)-1] }

// pointer returns the path as a JSON Pointer; where that would be very long,
// the path of the innermost value around it for which it is not. A hostile
// body must become neither a large answer nor much work.
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

// shortened does the same to a pointer that there is already.
func shortened(pointer string) string {
	for len(pointer) > maxPointer {
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	return pointer
}
