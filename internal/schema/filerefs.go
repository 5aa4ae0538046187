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
//     report_url, see roleOf), or that stands in an array of such a name,
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
	frames := borrowFrames()
	defer returnFrames(frames)
	c := refCollector{frames: (*frames)[:0]}
	c.scan(results)
	return c.refs
}

// FileRefs returns FileRefs of the document's results. The error says that its
// layout is another.
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
	// limit is the most values that may name a file; 0 for any number. What is
	// beyond ends the pass.
	limit int

	refs   []string
	seen   map[string]struct{} // made once refs is too long to look through
	values int                 // how many named a file that none before did
	frames []refFrame
}

// refFrames are frames to use again: as many as results nest deep.
var refFrames = sync.Pool{New: func() any { return new([maxDepth]refFrame) }}

func borrowFrames() *[maxDepth]refFrame {
	frames, _ := refFrames.Get().(*[maxDepth]refFrame) // New makes nothing else
	return frames
}

func returnFrames(frames *[maxDepth]refFrame) {
	clear(frames[:]) // lets go of the document
	refFrames.Put(frames)
}

// refFrame is an object or array that the pass is in.
type refFrame struct {
	object bool
	// kept: the frame lies beneath a member that holds files.
	kept bool
	// names: the member names of the object name files, too.
	names bool

	// role is that of the present value, and holder whether it is the value of
	// a member that holds files by its own name.
	role   refRole
	holder bool
	// name is the present member's, quoted, and index the present element's.
	name  []byte
	index int
}

// scan collects the references of a value and reports whether it came to its
// end within the limit. Where it did not, frames lead to the value that was one
// too many.
func (c *refCollector) scan(b []byte) bool {
	for i := 0; i < len(b); {
		switch b[i] {
		case '{', '[':
			c.push(b[i] == '{')
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
			if !c.text(b[i:end], end < len(b) && b[end] == ':') {
				return false
			}
			i = end
		default: // a part of a literal or number, or a colon
			i++
		}
	}
	return true
}

// push enters an object or array, which is the present value of the frame
// before.
func (c *refCollector) push(object bool) {
	next := refFrame{object: object}
	if n := len(c.frames); n > 0 {
		within := &c.frames[n-1]
		next.kept = within.kept || within.holder
		if object {
			next.names = within.holder || within.object && within.names
		} else {
			next.role, next.holder = within.role, false
		}
		if next.kept {
			next.role = max(next.role, refPath)
		}
	}
	c.frames = append(c.frames, next)
}

// text deals with a string: a member name, or a value. It returns false where
// that is one reference too many.
func (c *refCollector) text(quoted []byte, isName bool) bool {
	if len(c.frames) == 0 {
		return true
	}
	in := &c.frames[len(c.frames)-1]
	if !isName {
		return in.role == refNone || c.add(jsonscan.Unquote(quoted), in.role)
	}
	name := jsonscan.Unquote(quoted)
	own, holder := roleOf(name)
	in.name, in.role, in.holder = quoted, own, holder
	if in.kept {
		in.role = max(in.role, refPath)
	}
	return !in.names || own != refNone || c.add(name, refPath)
}

// add adds what a text refers to, and reports whether it is within the limit.
func (c *refCollector) add(text []byte, role refRole) bool {
	named := false
	for _, ref := range readings(text, role) {
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

// pointer leads to the present value from the document's root.
func (c *refCollector) pointer() string {
	where := path{step{name: []byte(quotedNames[sectionResults])}}
	for _, f := range c.frames {
		if f.object {
			where.push(step{name: f.name})
		} else {
			where.push(step{index: f.index})
		}
	}
	return where.pointer()
}

// fileRefs is FileRefs within the rules. before are the results that stood
// there until now: a change that refers to no more files than they do is
// lawful, whatever the limit is by now. The error is an *Error.
func (r *Rules) fileRefs(results, before jsontext.Value) ([]string, error) {
	if len(results) <= len(emptyObject) {
		return nil, nil
	}
	frames := borrowFrames()
	defer returnFrames(frames)
	c := refCollector{limit: r.MaxFileRefs, frames: (*frames)[:0]}
	if c.scan(results) {
		return c.refs, nil
	}
	var was refCollector
	if was.scan(before); was.values > r.MaxFileRefs {
		if again := (refCollector{limit: was.values}); again.scan(results) {
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

// plausible reports whether a file can have that path.
func plausible(ref string) bool {
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

// canonical returns the one spelling of a path that references have; empty
// where no file can have it.
func canonical(path string) string {
	if path == "" {
		return ""
	}
	path = gopath.Clean(CanonicalName(path))
	if !plausible(path) {
		return ""
	}
	return path
}
