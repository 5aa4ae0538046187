package crash_test

import (
	"encoding/json"
	"slices"
	"time"
)

// key names a session.
type key struct{ space, id string }

// document is a session's document, as it came.
type document []byte

// fields are what the tests look at in a document.
type fields struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	Revision  int       `json:"revision"`
	User      *struct {
		ID string `json:"id"`
	} `json:"user"`
	Inputs struct {
		Serial int    `json:"serial"`
		Text   string `json:"text"`
	} `json:"inputs"`
	Results struct {
		Analysis struct {
			Files []string `json:"files"`
		} `json:"analysis"`
	} `json:"results"`
	Meta struct {
		Client int `json:"client"`
	} `json:"meta"`
}

func (d document) fields() (f fields) {
	if err := json.Unmarshal(d, &f); err != nil {
		panic(err) // the service has answered something else than JSON
	}
	return f
}

func (d document) user() string {
	if user := d.fields().User; user != nil {
		return user.ID
	}
	return ""
}

// content is what a client has put into a session. No two requests of a client
// put the same.
type content struct {
	serial     int
	text       string
	user, file string
}

func (d document) content() content {
	f := d.fields()
	c := content{serial: f.Inputs.Serial, text: f.Inputs.Text, user: d.user()}
	if files := f.Results.Analysis.Files; len(files) == 1 {
		c.file = files[0]
	}
	return c
}

// version is a state of a session that a client was told of. Without a document
// it is that there is none.
type version struct {
	doc document
	at  time.Time // when it was told
}

// session is a live session, as its client knows it: nobody else changes it.
type session struct {
	key
	token string
	// versions are what a crash may leave behind, the last one told last. There
	// is more than one only where changes may wait for the disk.
	versions []version
	// fleeting: it soon expires by itself, and nobody uses it.
	fleeting bool
}

// now is what the session is.
func (s *session) now() document { return s.versions[len(s.versions)-1].doc }

// becomes notes what the client was told of. Unless it may wait for the disk,
// nothing before counts any more.
func (s *session) becomes(doc document, at time.Time, mayWait bool) {
	if !mayWait {
		s.versions = nil
	}
	s.versions = append(s.versions, version{doc, at})
}

// settle forgets versions that were overtaken by that time: what was told
// before must be on the disk.
func (s *session) settle(by time.Time) {
	for len(s.versions) > 1 && !s.versions[1].at.After(by) {
		s.versions = s.versions[1:]
	}
}

// allows returns which of the versions the document is, nil for none there.
func (s *session) allows(doc document) (version, bool) {
	i := slices.IndexFunc(s.versions, func(v version) bool { return string(v.doc) == string(doc) })
	if i < 0 {
		return version{}, false
	}
	return s.versions[i], true
}

// over reports whether the session has expired by then.
func (s *session) over(by time.Time) bool {
	doc := s.now()
	return doc != nil && !doc.fields().ExpiresAt.After(by)
}

// endedSession is one that must never come back.
type endedSession struct {
	key
	token string
	// grace, where it was regenerated with one.
	grace *grace
	// seen is how many times it was looked for.
	seen int
}

// grace leads from an old key to its successor, as long as there is that. It
// ends between the two times.
type grace struct {
	to         *session
	user       string // whose the successor was: another user has no grace
	from, till time.Time
}

// told counts what a client was told.
type told struct {
	changes, ends int
	// unknown are requests that a crash left without an answer, made those of
	// them that were made.
	unknown, made int
	// refused are changes that the service did not make in time.
	refused int
	// lost are changes that a crash has taken back within the interval. The
	// oldest was told so long before the crash, and span before the last change
	// of all.
	lost         int
	oldest, span time.Duration
	// last is when the last change was asked for that was made.
	last time.Time
}

// crash is one that has happened. working is when the last change was asked for
// that was made: where the disk is late, changes wait for it, so that no more of
// them are lost than an interval brings.
type crash struct{ at, working time.Time }
