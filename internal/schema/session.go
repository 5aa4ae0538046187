// Package schema defines the session document: its layout, how bodies are decoded
// and validated, how a change is applied, and which files a document refers to.
//
// It does not depend on HTTP, stores or the environment. A document is parsed only
// where it is changed, and otherwise handled as the JSON bytes that a client gets.
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
	// Life distinguishes the session from earlier and later ones with the same ID.
	Life Life

	CreatedAt, UpdatedAt time.Time
	// ExpiresAt is the moment from which the session is absent.
	ExpiresAt time.Time
	// Revision is 1 at creation and one more with each change of a section.
	Revision int64

	// TTL is the idle timeout: a touch at t moves ExpiresAt to t+TTL.
	TTL time.Duration
	// OwnTTL is the idle timeout that a caller asked for with ttlMs; 0 if the
	// service's settings decide.
	OwnTTL time.Duration

	// Facts are what is known of the session beside its document.
	Facts Facts

	// Disposable marks, at creation, a session that was created without a request for
	// it. A store that evicts takes such sessions first, until they are written to.
	// It is not stored: a session that is read never has it.
	Disposable bool
	// Trusted marks, at creation and at a change, that a service makes it: it may use
	// the reserve of a store, and what it creates is evicted after all sessions of
	// visitors. Like Disposable, it is not stored.
	Trusted bool
	// Imported marks, at creation, a session that comes from another store. Who
	// created it there is not known: it counts as a visitor's that was used again.
	Imported bool
	// Additional forbids, at creation, to evict another session for this one: without
	// room for it, the store is full. It is not stored either.
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

// AppendHead appends the beginning of the document, with the present ExpiresAt, and
// returns the rest, which shares the bytes of Doc.
func (s *Session) AppendHead(dst []byte) (begun, rest []byte) {
	at := expiresAtOffset(s.ID)
	dst = append(dst, s.Doc[:at]...)
	dst = appendTime(dst, s.ExpiresAt)
	return dst, s.Doc[at+timeLen:]
}

// WithID returns s under another id, for a regenerated session: the same data, times
// and revision, and a new Life.
func (s Session) WithID(id string) Session {
	doc := make([]byte, 0, len(s.Doc)-len(s.ID)+len(id))
	doc = append(doc, headID...)
	doc = append(doc, id...)
	doc = append(doc, s.Doc[len(headID)+len(s.ID):]...)
	s.ID, s.Life, s.Doc = id, NewLife(), doc
	return s
}

// Now truncates t to the precision of documents: UTC, whole milliseconds, no
// monotonic clock reading.
func Now(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
