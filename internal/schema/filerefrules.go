package schema

import (
	"bytes"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// refRole says how a member's name makes its value a reference to a file.
type refRole uint8

const (
	refNone refRole = iota
	// refPath: a string is a path, or a file URI.
	refPath
	// refURL: it may be percent-encoded as well.
	refURL
)

// roleOfName returns the role that a member name gives to a string value, and
// whether all strings beneath the member name files. It goes by the words of the
// name, in camelCase, snake_case, kebab-case or any mixture.
func roleOfName(name []byte) (role refRole, holder bool) {
	const longest = 128 // a name that goes on longer than that says nothing
	if len(name) > longest {
		return refNone, false
	}
	var lower [longest]byte
	last := refWord(0)
	each := func(word []byte) {
		if last = refWords[string(word)]; last&wordURL != 0 {
			role = refURL
		} else if last&wordFile != 0 {
			role = max(role, refPath)
		}
	}
	start, n := 0, 0
	for i, b := range name {
		isUpper := b >= 'A' && b <= 'Z'
		if n > start && isUpper && (!upperAt(name, i-1) || lowerAt(name, i+1)) {
			each(lower[start:n])
			start = n
		}
		switch {
		case isUpper:
			lower[n] = b + 'a' - 'A'
			n++
		case b >= 'a' && b <= 'z' || b >= 0x80:
			lower[n] = b
			n++
		case n > start: // a digit or a separator
			each(lower[start:n])
			start = n
		}
	}
	if n > start {
		each(lower[start:n])
	}
	holder = last&wordContainer != 0
	if whole := refWords[string(lower[:n])]; whole != 0 { // "URLs" is one word
		if holder = holder || whole&wordContainer != 0; whole&wordURL != 0 {
			role = refURL
		}
		role = max(role, refPath)
	}
	return role, holder
}

func upperAt(name []byte, i int) bool {
	return i >= 0 && i < len(name) && name[i] >= 'A' && name[i] <= 'Z'
}

func lowerAt(name []byte, i int) bool {
	return i >= 0 && i < len(name) && name[i] >= 'a' && name[i] <= 'z'
}

// refWord is the meaning of a word in a member name.
type refWord uint8

const (
	// wordFile: the member's string names a file or directory.
	wordFile refWord = 1 << iota
	// wordURL: it does so as a URL.
	wordURL
	// wordContainer: all strings beneath the member name files, if this is the last
	// word of its name.
	wordContainer
)

var refWords = map[string]refWord{
	"path": wordFile, "paths": wordFile, "pathname": wordFile, "filepath": wordFile, "filepaths": wordFile,
	"file": wordFile, "filename": wordFile, "filenames": wordFile, "name": wordFile, "names": wordFile,
	"uri": wordURL, "uris": wordURL, "url": wordURL, "urls": wordURL, "href": wordURL, "hrefs": wordURL,
	"fileurl": wordURL, "fileurls": wordURL, "fileuri": wordURL, "fileuris": wordURL,
	"dir": wordFile, "dirs": wordFile, "directory": wordFile, "directories": wordFile, "folder": wordFile, "folders": wordFile,
	"artifact": wordFile, "attachment": wordFile, "output": wordFile,

	"files": wordFile | wordContainer, "report": wordFile | wordContainer, "reports": wordFile | wordContainer,
	"artifacts": wordFile | wordContainer, "attachments": wordFile | wordContainer, "outputs": wordFile | wordContainer,
}

// candidatePaths returns the one or two paths that a string may stand for; unused
// ones are empty.
func candidatePaths(text []byte, role refRole) (paths [2]string) {
	if rest, ok := cutFileScheme(text); ok {
		text, role = rest, refURL
	} else if hasAuthority(text) {
		return paths // it names something on another machine
	}
	if role != refURL {
		paths[0] = canonical(string(text))
		return paths
	}
	// A URL's path ends at a query or fragment, and is percent-encoded. A client may
	// have built the URL without escaping, so the text as it is is a candidate too.
	path := text
	if end := bytes.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	if paths[0] = canonical(percentDecoded(path)); !bytes.Equal(path, text) || bytes.IndexByte(path, '%') >= 0 {
		paths[1] = canonical(string(text))
	}
	return paths
}

// cutFileScheme returns the path of a file URI of this machine (RFC 8089).
func cutFileScheme(text []byte) (path []byte, ok bool) {
	const scheme, host = "file:", "localhost"
	if len(text) <= len(scheme) || !strings.EqualFold(string(text[:len(scheme)]), scheme) {
		return nil, false
	}
	path = text[len(scheme):]
	if rest, ok := bytes.CutPrefix(path, []byte("//")); ok {
		path = rest
		if len(path) >= len(host) && strings.EqualFold(string(path[:len(host)]), host) {
			path = path[len(host):]
		}
	}
	return path, len(path) > 0 && path[0] == '/'
}

// hasAuthority reports whether a text starts as a URL with a host does
// (RFC 3986 section 3).
func hasAuthority(text []byte) bool {
	for i, b := range text {
		switch letter := b|0x20 >= 'a' && b|0x20 <= 'z'; {
		case letter:
		case i == 0:
			return false
		case b == ':':
			return bytes.HasPrefix(text[i:], []byte("://"))
		case b >= '0' && b <= '9', b == '+', b == '-', b == '.':
		default:
			return false
		}
	}
	return false
}

// percentDecoded returns text with its percent-encoded bytes decoded. Invalid
// escapes stay as they are.
func percentDecoded(text []byte) string {
	if bytes.IndexByte(text, '%') < 0 {
		return string(text)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
			if high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low)) //nolint:gosec // two digits
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// hexDigit returns the value of a hexadecimal digit; -1 for anything else.
func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// CanonicalName returns a file name or path as references spell it: with its
// Unicode composed (NFC). Bytes that are not UTF-8 stay as they are.
func CanonicalName(name string) string { return norm.NFC.String(name) }

// NameSpellings returns the Unicode spellings in which a client may have written a
// file name or path: as it is, composed (NFC) and decomposed (NFD), each once.
func NameSpellings(name string) []string {
	names := []string{name}
	if composed := norm.NFC.String(name); composed != name {
		names = append(names, composed)
	}
	if decomposed := norm.NFD.String(name); decomposed != name && decomposed != names[len(names)-1] {
		names = append(names, decomposed)
	}
	return names
}
