package schema

import (
	gopath "path"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// fileKeys are the members that can name a file, the first counting most.
var fileKeys = [...]string{"path", "filePath", "file", "filename", "name"}

// FileRefs returns the files that a results section refers to, each once: those
// of analysis.files and of report. A reference is a string, or an object that
// names the file in path, filePath, file, filename or name. It is given in its
// shortest spelling, as path.Clean makes it, so that whoever looks for a file
// need not know how a client spelt it.
func FileRefs(results jsontext.Value) []string {
	var refs []string
	var seen map[string]struct{} // made once there are too many to look through
	add := func(value []byte) {
		ref := fileRef(value)
		if ref != "" {
			ref = gopath.Clean(ref)
		}
		switch _, known := seen[ref]; {
		case ref == "", known, seen == nil && slices.Contains(refs, ref):
			return
		}
		refs = append(refs, ref)
		switch {
		case seen != nil:
			seen[ref] = struct{}{}
		case len(refs) == 16:
			seen = make(map[string]struct{})
			for _, ref := range refs {
				seen[ref] = struct{}{}
			}
		}
	}
	if kindOf(results) != jsontext.KindBeginObject {
		return nil
	}
	var files, report []byte
	for m, ok := nextMember(results, 1); ok && (files == nil || report == nil); m, ok = nextMember(results, m.end) {
		switch string(unquoted(m.name(results))) {
		case "analysis":
			files = lookUp(m.value(results), "files")
		case "report":
			report = m.value(results)
		}
	}
	if kindOf(files) == jsontext.KindBeginArray {
		for start, end, ok := nextElement(files, 1); ok; start, end, ok = nextElement(files, end) {
			add(files[start:end])
		}
	}
	add(report)
	return refs
}

// fileRef returns the file that one value refers to; empty for none.
func fileRef(value []byte) string {
	switch kindOf(value) {
	case jsontext.KindString:
		return string(unquoted(value))
	case jsontext.KindBeginObject:
		for _, key := range fileKeys {
			v := lookUp(value, key)
			if kindOf(v) == jsontext.KindString && len(v) > len(`""`) {
				return string(unquoted(v))
			}
		}
	}
	return ""
}

// lookUp returns the member of a compact object; nil where there is none, or
// no object.
func lookUp(object []byte, name string) []byte {
	if kindOf(object) != jsontext.KindBeginObject {
		return nil
	}
	for m, ok := nextMember(object, 1); ok; m, ok = nextMember(object, m.end) {
		if string(unquoted(m.name(object))) == name {
			return m.value(object)
		}
	}
	return nil
}
