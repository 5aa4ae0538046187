package schema

import (
	"bytes"

	"session-api/internal/jsonscan"
)

// EachRole calls yield with each role of the document's user, without reading
// the rest of it. The bytes are good until yield returns.
func (s *Session) EachRole(yield func(role []byte)) {
	user, _, err := s.userValue()
	if err != nil {
		return
	}
	// Inside a string, the quotes would be escaped.
	const name = `,"roles":[`
	at := bytes.LastIndex(user, []byte(name))
	if at < 0 {
		return
	}
	roles := user[at+len(name)-1:]
	for start, end, ok := jsonscan.NextElement(roles, 1); ok; start, end, ok = jsonscan.NextElement(roles, end) {
		yield(jsonscan.Unquote(roles[start:end]))
	}
}

// blankSections is how a document with empty sections ends.
const blankSections = `"user":null,"inputs":{},"apiConfig":{},"results":{},"meta":{}}`

// Blank reports whether all sections of the document are empty.
func (s *Session) Blank() bool { return bytes.HasSuffix(s.Doc, []byte(blankSections)) }
