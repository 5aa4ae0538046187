package schema

import (
	"bytes"
	"errors"
	"strconv"

	"session-api/internal/jsonscan"
)

// errDocument is returned for a stored document whose layout is not that of Build.
var errDocument = errors.New("session document: unexpected layout")

// Build returns s with the sections in it: UserID, Files and Doc. The other
// fields must be set. The error is an *Error of CodeTooLarge if the document
// is over MaxBytes, and of CodeValidationFailed if it refers to more files than
// MaxFileRefs.
func (r *Rules) Build(s Session, sec Sections) (Session, error) {
	s, err := r.withDoc(s, nil, sec)
	if err != nil {
		return Session{}, err
	}
	s.UserID = sec.User.id()
	if s.Files, err = r.fileRefs(sec.Results, nil); err != nil {
		return Session{}, err
	}
	return s, nil
}

// Rebuild is Build for a session that had the sections before. It computes nothing
// anew for a section that did not change. A document that exceeds MaxBytes already,
// because the limit was lowered, may shrink, and a session that exceeds MaxFileRefs
// already may keep its number of references.
func (r *Rules) Rebuild(s Session, before, after Sections) (Session, error) {
	s, err := r.withDoc(s, &before, after)
	if err != nil {
		return Session{}, err
	}
	if after.User != before.User {
		s.UserID = after.User.id()
	}
	if !bytes.Equal(after.Results, before.Results) {
		if s.Files, err = r.fileRefs(after.Results, before.Results); err != nil {
			return Session{}, err
		}
	}
	return s, nil
}

// withDoc returns s with the sections in its document. before are the sections that
// it had, or nil.
func (r *Rules) withDoc(s Session, before *Sections, sec Sections) (Session, error) {
	var short [512]byte // what nearly all users fit in
	user := sec.User.appendJSON(short[:0])
	var digits [20]byte
	revision := strconv.AppendInt(digits[:0], s.Revision, 10)
	size := RevisionOffset(s.ID) + len(revision) + len(",") + sec.size(user) + len("}")
	// The revision counts as one digit: a document that fits must not outgrow the
	// limit by being changed often.
	if counted := size - len(revision) + 1; r.MaxBytes > 0 && counted > r.MaxBytes && before.smallerThan(sec, user) {
		return Session{}, &Error{
			Code:   CodeTooLarge,
			Detail: "the session document would be larger than " + strconv.Itoa(r.MaxBytes) + " bytes",
		}
	}
	doc := make([]byte, 0, size) // exactly: a store keeps it as it is
	doc = append(doc, headID...)
	doc = append(doc, s.ID...)
	doc = append(doc, headCreatedAt...)
	doc = appendTime(doc, s.CreatedAt)
	doc = append(doc, headUpdatedAt...)
	doc = appendTime(doc, s.UpdatedAt)
	doc = append(doc, headExpiresAt...)
	doc = appendTime(doc, s.ExpiresAt)
	doc = append(doc, headVersion...)
	doc = append(doc, revision...)
	doc = append(doc, ',')
	doc = sec.appendMembers(doc, user)
	doc = append(doc, '}')
	s.Doc = doc
	return s, nil
}

// smallerThan reports whether s takes fewer bytes than o, whose user is given as
// JSON. A nil s takes none.
func (s *Sections) smallerThan(o Sections, user []byte) bool {
	return s == nil || s.size(s.User.appendJSON(nil)) < o.size(user)
}

// Sections returns the sections of the document. They share its bytes. The
// document is one that Build made, so its values are only found, not checked;
// the error says that its layout is another.
func (s *Session) Sections() (Sections, error) {
	var sec Sections
	user, i, err := s.userValue()
	if err != nil {
		return Sections{}, err
	}
	if sec.User, err = readUser(user); err != nil {
		return Sections{}, err
	}
	for name := sectionInputs; name < sectionCount; name++ {
		m, ok := jsonscan.NextMember(s.Doc, i)
		if !ok || string(m.Name(s.Doc)) != quotedNames[name] || m.End == m.Colon+1 || s.Doc[m.Colon+1] != '{' {
			return Sections{}, errDocument
		}
		*sec.freeForm(name) = m.Value(s.Doc)
		i = m.End
	}
	if string(s.Doc[i:]) != "}" {
		return Sections{}, errDocument
	}
	return sec, nil
}

// User returns the user of the document; nil where there is none.
func (s *Session) User() (*User, error) {
	value, _, err := s.userValue()
	if err != nil {
		return nil, err
	}
	return readUser(value)
}

// userValue returns the user's value and the offset after it.
func (s *Session) userValue() (value []byte, end int, err error) {
	at := expiresAtOffset(s.ID) + timeLen
	if len(s.Doc) < at || !bytes.HasPrefix(s.Doc[at:], []byte(headVersion)) {
		return nil, 0, errDocument
	}
	at = jsonscan.ValueEnd(s.Doc, at+len(headVersion)) // past the revision
	m, ok := jsonscan.NextMember(s.Doc, at)
	if !ok || string(m.Name(s.Doc)) != `"user"` {
		return nil, 0, errDocument
	}
	return m.Value(s.Doc), m.End, nil
}

// readUser reads the user of a document. How long its texts may be, and what may
// be in them, is asked of bodies only: what was stored can be read.
func readUser(value []byte) (*User, error) {
	if jsonscan.IsNull(value) {
		return nil, nil //nolint:nilnil // no user
	}
	if user, ok := fastScanUser(value); ok {
		return user, nil
	}
	var m fieldErrors
	user := readUserFields(value, &m, false).whole(&m)
	if m.err() != nil {
		return nil, errDocument
	}
	return user, nil
}
