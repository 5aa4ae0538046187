// Package schema holds the session document: what it looks like, how strictly
// it is read, what a change does to it and which files it refers to.
//
// It knows nothing of HTTP, of stores or of the environment. A document is
// parsed where it is changed, and otherwise handled as the JSON bytes that a
// client gets.
package schema

import "time"

// Version is the schema version that every document carries.
const Version = 1

// DefaultNamespace is the namespace of the caller's own routes.
const DefaultNamespace = "default"

// Session is one session as a store keeps it. It is a value: a store that
// hands one out, or is handed one, never changes what Doc and Files point at.
//
// Times have millisecond precision and are UTC.
type Session struct {
	// Namespace and ID together name the session.
	Namespace, ID string
	// Life tells it from others that had its id before, or have it later.
	Life Life

	CreatedAt, UpdatedAt time.Time
	// ExpiresAt is the moment from which the session is absent.
	ExpiresAt time.Time
	// Revision is 1 at creation and one more with each change of a section.
	Revision int64

	// TTL is the idle life: a touch at t moves ExpiresAt to t+TTL.
	TTL time.Duration
	// OwnTTL is the idle life that a caller asked for with ttlMs; 0 where it
	// follows the service's settings.
	OwnTTL time.Duration

	// Disposable says at creation that nobody asked for the session. A store
	// that evicts does so with such first, until they are written to. It is no
	// part of what is stored: a session that is read never has it.
	Disposable bool
	// Trusted says at creation and at a change that a service makes it: it may
	// take what a store reserves, and what it creates is evicted after all that
	// visitors have. Like Disposable, it is no part of what is stored.
	Trusted bool
	// Imported says at creation that another store had the session. Nobody knows who
	// made it there: it counts as a visitor's that was used again.
	Imported bool
	// Additional says at creation that no other session may go for this one: where
	// there is no room left for it, the store is full. It is no part of what is
	// stored either.
	Additional bool

	// UserID is user.id, or empty.
	UserID string
	// Files are the references of the results section, as FileRefs gives them.
	Files []string

	// Doc is the document as JSON, compact, its members in the order of
	// AppendJSON. Its expiresAt is that of the last write; AppendJSON puts
	// the present one in its place.
	Doc []byte
}

// Key names a session.
type Key struct{ Namespace, ID string }

// Key returns the key that names s.
func (s *Session) Key() Key { return Key{Namespace: s.Namespace, ID: s.ID} }

// Live reports whether s has not expired at now.
func (s *Session) Live(now time.Time) bool { return now.Before(s.ExpiresAt) }

// AppendJSON appends the document as a client gets it, with the present
// ExpiresAt.
func (s *Session) AppendJSON(dst []byte) []byte {
	dst, rest := s.AppendHead(dst)
	return append(dst, rest...)
}

// AppendHead is AppendJSON of the document's beginning, and returns the rest,
// which is the document's own.
func (s *Session) AppendHead(dst []byte) (begun, rest []byte) {
	at := expiresAtOffset(s.ID)
	dst = append(dst, s.Doc[:at]...)
	dst = appendTime(dst, s.ExpiresAt)
	return dst, s.Doc[at+timeLen:]
}

// WithID returns s under another id, for a regenerated session: same data,
// same times, same revision, and a life of its own.
func (s Session) WithID(id string) Session {
	doc := make([]byte, 0, len(s.Doc)-len(s.ID)+len(id))
	doc = append(doc, headID...)
	doc = append(doc, id...)
	doc = append(doc, s.Doc[len(headID)+len(s.ID):]...)
	s.ID, s.Life, s.Doc = id, NewLife(), doc
	return s
}

// Now cuts t to what a document can express: UTC, whole milliseconds, no
// monotonic reading.
func Now(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
