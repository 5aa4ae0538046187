package schema

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Sections are the parts of a document that a client may change. They are a value:
// what they point at is not modified.
type Sections struct {
	// User is nil where the document says null.
	User *User
	// The free-form sections are compact JSON objects, never nil.
	Inputs, APIConfig, Results, Meta jsontext.Value
}

// section numbers the sections in the order of the document.
type section int

const (
	sectionUser section = iota
	sectionInputs
	sectionAPIConfig
	sectionResults
	sectionMeta
	sectionCount

	// noSection stands for any other member.
	noSection section = -1
)

// sectionNames are the member names of the sections.
var sectionNames = [sectionCount]string{"user", "inputs", "apiConfig", "results", "meta"}

// quotedNames are the names as documents spell them.
var quotedNames = [sectionCount]string{`"user"`, `"inputs"`, `"apiConfig"`, `"results"`, `"meta"`}

// sectionOf returns the section of that name, or noSection.
func sectionOf(name []byte) section {
	for i, known := range sectionNames {
		if string(name) == known {
			return section(i)
		}
	}
	return noSection
}

// emptyObject is the initial value of a free-form section.
var emptyObject = jsontext.Value("{}")

// EmptySections returns the sections of a new session.
func EmptySections() Sections {
	return Sections{Inputs: emptyObject, APIConfig: emptyObject, Results: emptyObject, Meta: emptyObject}
}

// freeForm returns a pointer to a section other than the user.
func (s *Sections) freeForm(i section) *jsontext.Value {
	switch i {
	case sectionInputs:
		return &s.Inputs
	case sectionAPIConfig:
		return &s.APIConfig
	case sectionResults:
		return &s.Results
	default:
		return &s.Meta
	}
}

// Equal reports whether s and o are the same byte for byte.
func (s Sections) Equal(o Sections) bool {
	return s.User.Equal(o.User) &&
		bytes.Equal(s.Inputs, o.Inputs) && bytes.Equal(s.APIConfig, o.APIConfig) &&
		bytes.Equal(s.Results, o.Results) && bytes.Equal(s.Meta, o.Meta)
}

// Roles returns the roles of the user; none where there is no user.
func (s Sections) Roles() []string {
	if s.User == nil {
		return nil
	}
	return s.User.Roles
}

// size is how many bytes appendMembers appends.
func (s Sections) size(user []byte) int {
	const names = len(`"user":,"inputs":,"apiConfig":,"results":,"meta":`)
	return names + len(user) + len(s.Inputs) + len(s.APIConfig) + len(s.Results) + len(s.Meta)
}

// appendMembers appends the sections as members of a document; user is s.User
// as JSON.
func (s Sections) appendMembers(dst, user []byte) []byte {
	dst = append(dst, `"user":`...)
	dst = append(dst, user...)
	for i := sectionInputs; i < sectionCount; i++ {
		dst = append(dst, ',', '"')
		dst = append(dst, sectionNames[i]...)
		dst = append(dst, '"', ':')
		dst = append(dst, *s.freeForm(i)...)
	}
	return dst
}
