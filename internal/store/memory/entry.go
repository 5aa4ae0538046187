package memory

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// entry is the place of one session: from Create or Regenerate until it ends.
// It is never used for another one.
type entry struct {
	// rec is the session as it is now; nil once it has ended. It is set under
	// the lock of the entry's shard, and, where the order of a namespace's
	// index depends on it, under that of the namespace too.
	rec atomic.Pointer[record]
	// used is the tick of the last use, or under the policy TTL of the last
	// write. It only grows. Below 0 it is one of the low clock's: the session
	// is disposable.
	used atomic.Int64
	// class is guarded by the entry's shard.
	class class
}

// record is one state of a session, never changed. It is kept small: a million
// of them is what the store is made for. Times are Unix milliseconds. The id is
// not among the fields because the document carries it.
type record struct {
	doc      []byte
	expires  int64
	created  int64
	updated  int64
	revision int64
	user     string
	life     schema.Life
	*details
}

// details is what a record has in common with others of its session, and without
// files with others at all.
type details struct {
	*common
	files []string
}

// common is what many sessions share: those of one kind of client have the same facts.
type common struct {
	space       *namespace
	ttl, ownTTL time.Duration
	facts       schema.Facts
}

// newEntry returns an entry that is in no shard yet.
func newEntry(rec *record) *entry {
	e := &entry{}
	e.rec.Store(rec)
	return e
}

// errDocument: what came in is no document of the session.
var errDocument = fmt.Errorf("%w: the document does not carry the session's id", backend.ErrUnavailable)

// checkDocument reports whether the document can be kept under the id.
func checkDocument(doc []byte, id string) error {
	if string(schema.DocID(doc)) != id {
		return errDocument
	}
	return nil
}

// pack returns s as a record. Strings are copied, lest they hold on to the
// request body that they were cut from.
func pack(s *schema.Session, space *namespace) *record {
	return newRecord(s, strings.Clone(s.UserID), space.detailsOf(s))
}

// newRecord returns s as a record with that user and those terms.
func newRecord(s *schema.Session, user string, t *details) *record {
	return &record{
		doc:      docToKeep(s),
		expires:  s.ExpiresAt.UnixMilli(),
		created:  s.CreatedAt.UnixMilli(),
		updated:  s.UpdatedAt.UnixMilli(),
		revision: s.Revision,
		user:     user,
		life:     s.Life,
		details:  t,
	}
}

// docToKeep returns the document, without spare capacity.
func docToKeep(s *schema.Session) []byte {
	if spare := cap(s.Doc) - len(s.Doc); spare > len(s.Doc)/32 {
		return bytes.Clone(s.Doc)
	}
	return s.Doc
}

// detailsOf returns the details of s, sharing with those of the session before what
// is the same.
func (n *namespace) detailsOf(s *schema.Session) *details {
	shared := n.sharedDetails(s.Facts)
	last := shared.Load()
	if last == nil || !last.same(s) {
		facts := s.Facts
		if last != nil && last.facts == facts {
			facts = last.facts // one text for both
		}
		last = &details{common: &common{space: n, ttl: s.TTL, ownTTL: s.OwnTTL, facts: facts}}
		shared.Store(last)
	}
	switch len(s.Files) {
	case 0:
		return last
	case 1: // as most have that have any: in one piece
		own := &struct {
			details
			file [1]string
		}{file: [1]string{strings.Clone(s.Files[0])}}
		own.details = details{last.common, own.file[:]}
		return &own.details
	}
	own := &details{last.common, make([]string, len(s.Files))}
	for i, path := range s.Files {
		own.files[i] = strings.Clone(path)
	}
	return own
}

// sharedDetails returns where details are that a session of those facts may share.
func (n *namespace) sharedDetails(facts schema.Facts) *atomic.Pointer[details] {
	if facts == (schema.Facts{}) {
		return &n.lastDetails
	}
	byFacts := n.detailsByFacts.Load()
	if byFacts == nil {
		n.detailsByFacts.CompareAndSwap(nil, new([sharedFacts]atomic.Pointer[details]))
		byFacts = n.detailsByFacts.Load()
	}
	return &byFacts[maphash.Comparable(factsSeed, facts)%sharedFacts]
}

// sharedFacts is of how many clients about, in one namespace, the sessions share their
// facts.
const sharedFacts = 256

var factsSeed = maphash.MakeSeed()

// same reports whether s lives as long as the session does, and has its facts.
func (c *common) same(s *schema.Session) bool { return c.sameTTL(s) && c.facts == s.Facts }

// sameTTL reports whether s lives as long as the session does.
func (c *common) sameTTL(s *schema.Session) bool { return c.ttl == s.TTL && c.ownTTL == s.OwnTTL }

// session returns the record as a session of that id.
func (r *record) session(id string) schema.Session {
	return schema.Session{
		Namespace: r.space.name,
		ID:        id,
		Life:      r.life,
		CreatedAt: time.UnixMilli(r.created).UTC(),
		UpdatedAt: time.UnixMilli(r.updated).UTC(),
		ExpiresAt: time.UnixMilli(r.expires).UTC(),
		Revision:  r.revision,
		TTL:       r.ttl,
		OwnTTL:    r.ownTTL,
		Facts:     r.facts,
		UserID:    r.user,
		Files:     r.files,
		Doc:       r.doc,
	}
}

// id returns the id; the bytes are the document's.
func (r *record) id() []byte { return schema.DocID(r.doc) }

// key returns the key, newly allocated.
func (r *record) key() backend.Key { return backend.Key{Namespace: r.space.name, ID: string(r.id())} }

// is reports whether the record is that of the key.
func (r *record) is(key backend.Key) bool {
	return r.space.name == key.Namespace && string(r.id()) == key.ID
}

func (r *record) live(now int64) bool { return now < r.expires }

// unchanged reports whether the record is still what a caller saw as old.
func (r *record) unchanged(old *schema.Session) bool {
	return backend.Version{Life: r.life, Created: r.created, Revision: r.revision, TTL: r.ttl, OwnTTL: r.ownTTL, Facts: r.facts} == backend.VersionOf(old)
}

// disposable reports whether the session was made without a request for it, and was
// not written to since.
func (e *entry) disposable() bool { return e.used.Load() < 0 }

// use notes a use at the tick. Of concurrent ones the latest stays.
func (e *entry) use(tick int64) {
	for {
		last := e.used.Load()
		if last >= tick || e.used.CompareAndSwap(last, tick) {
			return
		}
	}
}

// What is counted beyond the bytes of documents, names and paths, close to what
// BenchmarkMemory measures.
const (
	// sessionOverhead is for an entry, its record, and its places in the
	// table, the heaps and the index.
	sessionOverhead = 211
	// userOverhead is for a user's name and its place in the index.
	userOverhead = 40
	// fileOverhead is for a reference to a file.
	fileOverhead = 80
	// factsOverhead is for the facts of a session that shares them with no other.
	factsOverhead = 96
)

// cost is what the record counts for in the capacity.
func (r *record) cost() int64 { return costOf(len(r.doc), r.user, r.files, r.facts) }

// costOf is the cost of a session with a document of that length. Facts count as if
// no other session had the same: who sends another name with each request must not
// pass by the limit.
func costOf(document int, user string, files []string, facts schema.Facts) int64 {
	n := sessionOverhead + int64(document)
	if user != "" {
		n += userOverhead + int64(len(user))
	}
	for _, path := range files {
		n += fileOverhead + int64(len(path))
	}
	if size := len(facts.String()); size > 0 {
		n += factsOverhead + int64(size)
	}
	return n
}

// compareAge orders entries as lists do: newest first, then by id. Neither
// part ever changes during the life of an entry, whatever its record is.
func compareAge(a, b *record) int {
	switch {
	case a.created > b.created:
		return -1
	case a.created < b.created:
		return 1
	default:
		return bytes.Compare(a.id(), b.id())
	}
}
