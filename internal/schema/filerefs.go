package schema

import (
	gopath "path"
	"slices"
	"strconv"
	"sync"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// FileRefs returns the files that a results section refers to, each once, in
// the order in which they stand there. A reference is
//
//   - a string whose member name says that it names a file (path, fileName,
//     report_url, see roleOfName), or that stands in an array of such a name,
//   - any string beneath a member named files, report, reports, artifacts,
//     attachments or outputs, and the member names of objects there.
//
// A file may be named where none is meant: then a file stays that could have
// gone, which is the safe mistake.
//
// References come in one spelling: file URIs as paths, Unicode composed (NFC),
// and as short as path.Clean makes them, so that whoever looks for a file need
// not know how a client spelt it. A name that can be read in two ways, such as
// a percent-encoded URL, gives two references.
func FileRefs(results jsontext.Value) []string {
	if len(results) <= len(emptyObject) {
		return nil
	}
	frames := getFrames()
	defer putFrames(frames)
	c := refCollector{frames: (*frames)[:0]}
	c.scan(results)
	return c.refs
}

// FileRefs returns FileRefs of the document's results section. It returns an error
// if the document's layout is not that of Build.
func (s *Session) FileRefs() ([]string, error) {
	_, i, err := s.userValue()
	if err != nil {
		return nil, err
	}
	for m, ok := jsonscan.NextMember(s.Doc, i); ok; m, ok = jsonscan.NextMember(s.Doc, m.End) {
		if string(m.Name(s.Doc)) == quotedNames[sectionResults] {
			return FileRefs(m.Value(s.Doc)), nil
		}
	}
	return nil, errDocument
}

// refCollector collects the references of a results section in one pass over
// its compact JSON.
type refCollector struct {
	// limit is the largest number of values that may name a file; 0 for any number.
	// The scan stops at the first one beyond it.
	limit int

	refs   []string
	seen   map[string]struct{} // made once refs is too long to look through
	values int                 // how many named a file that none before did
	frames []refFrame
}

// framePool holds stacks of frames for reuse, as deep as results may nest.
var framePool = sync.Pool{New: func() any { return new([maxDepth]refFrame) }}

func getFrames() *[maxDepth]refFrame {
	frames, _ := framePool.Get().(*[maxDepth]refFrame) // New makes nothing else
	return frames
}

func putFrames(frames *[maxDepth]refFrame) {
	clear(frames[:]) // lets go of the document
	framePool.Put(frames)
}

// refFrame is an object or array that encloses the current position.
type refFrame struct {
	object bool
	// inContainer reports that an enclosing member is a container of files.
	inContainer bool
	// namesAreRefs reports that the object's member names are file names as well.
	namesAreRefs bool

	// role is that of the current value, and container reports that its own member
	// name makes it a container of files.
	role      refRole
	container bool
	// name is the current member's, quoted, and index the current element's.
	name  []byte
	index int
}

// scan collects the references of a value and reports whether it reached the end
// within the limit. If not, frames are the path of the value that exceeded it.
func (c *refCollector) scan(b []byte) bool {
	for i := 0; i < len(b); {
		switch b[i] {
		case '{', '[':
			c.enter(b[i] == '{')
			i++
		case '}', ']':
			c.frames = c.frames[:max(0, len(c.frames)-1)]
			i++
		case ',':
			if n := len(c.frames); n > 0 {
				c.frames[n-1].index++
			}
			i++
		case '"':
			end := jsonscan.StringEnd(b, i)
			if !c.visitString(b[i:end], end < len(b) && b[end] == ':') {
				return false
			}
			i = end
		default: // a part of a literal or number, or a colon
			i++
		}
	}
	return true
}

// enter pushes the frame of an object or array, which is the current value of the
// innermost frame.
func (c *refCollector) enter(object bool) {
	next := refFrame{object: object}
	if n := len(c.frames); n > 0 {
		within := &c.frames[n-1]
		next.inContainer = within.inContainer || within.container
		if object {
			next.namesAreRefs = within.container || within.object && within.namesAreRefs
		} else {
			next.role, next.container = within.role, false
		}
		if next.inContainer {
			next.role = max(next.role, refPath)
		}
	}
	c.frames = append(c.frames, next)
}

// visitString handles a string, which is a member name or a value. It returns false
// if the string is a reference beyond the limit.
func (c *refCollector) visitString(quoted []byte, isName bool) bool {
	if len(c.frames) == 0 {
		return true
	}
	in := &c.frames[len(c.frames)-1]
	if !isName {
		return in.role == refNone || c.add(jsonscan.Unquote(quoted), in.role)
	}
	name := jsonscan.Unquote(quoted)
	own, holder := roleOfName(name)
	in.name, in.role, in.container = quoted, own, holder
	if in.inContainer {
		in.role = max(in.role, refPath)
	}
	return !in.namesAreRefs || own != refNone || c.add(name, refPath)
}

// add adds the references in a string, and reports whether they are within the
// limit.
func (c *refCollector) add(text []byte, role refRole) bool {
	named := false
	for _, ref := range candidatePaths(text, role) {
		if ref == "" {
			continue
		}
		if _, known := c.seen[ref]; known || c.seen == nil && slices.Contains(c.refs, ref) {
			continue
		}
		if !named {
			if c.limit > 0 && c.values == c.limit {
				return false
			}
			named = true
			c.values++
		}
		c.refs = append(c.refs, ref)
		switch {
		case c.seen != nil:
			c.seen[ref] = struct{}{}
		case len(c.refs) >= 16:
			c.seen = make(map[string]struct{})
			for _, ref := range c.refs {
				c.seen[ref] = struct{}{}
			}
		}
	}
	return true
}

// pointer returns the JSON Pointer of the current value from the document's root.
func (c *refCollector) pointer() string {
	where := path{pathStep{name: []byte(quotedNames[sectionResults])}}
	for _, f := range c.frames {
		if f.object {
			where.push(pathStep{name: f.name})
		} else {
			where.push(pathStep{index: f.index})
		}
	}
	return where.pointer()
}

// fileRefs is FileRefs within the rules. before is the previous results section: a
// change that has no more references than before is accepted even beyond the limit,
// which may have been lowered. The error is an *Error.
func (r *Rules) fileRefs(results, before jsontext.Value) ([]string, error) {
	if len(results) <= len(emptyObject) {
		return nil, nil
	}
	frames := getFrames()
	defer putFrames(frames)
	c := refCollector{limit: r.MaxFileRefs, frames: (*frames)[:0]}
	if c.scan(results) {
		return c.refs, nil
	}
	var prior refCollector
	if prior.scan(before); prior.values > r.MaxFileRefs {
		if again := (refCollector{limit: prior.values}); again.scan(results) {
			return again.refs, nil
		}
	}
	return nil, &Error{
		Code:   CodeValidationFailed,
		Detail: "the session would refer to more than " + strconv.Itoa(r.MaxFileRefs) + " files",
		Fields: []FieldError{{
			Pointer: c.pointer(),
			Detail:  "is one reference to a file too many: at most " + strconv.Itoa(r.MaxFileRefs) + " are possible",
		}},
	}
}

// The longest path and the longest name in it that a file can have, in bytes:
// Linux takes 4095 for a path, and NTFS and APFS take 255 UTF-16 units for a
// name. A longer text names nothing.
const (
	maxRefPath = 4095
	maxRefName = 3 * 255
)

// validPathLength reports whether a file can have that path.
func validPathLength(ref string) bool {
	if len(ref) > maxRefPath {
		return false
	}
	name := 0
	for i := range len(ref) {
		if ref[i] == '/' {
			name = 0
		} else if name++; name > maxRefName {
			return false
		}
	}
	return true
}

// canonical returns the canonical spelling of a path, or "" if no file can have the
// path.
func canonical(path string) string {
	if path == "" {
		return ""
	}
	path = gopath.Clean(CanonicalName(path))
	if !validPathLength(path) {
		return ""
	}
	return path
}
