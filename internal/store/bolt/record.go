package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// The buckets.
const (
	logBucket  = "log"
	metaBucket = "meta"
)

// formatKey is the key in meta whose value's format is that of the file.
const formatKey = "format"

const (
	// format is that of all values but those that earlier versions do not know: sessions
	// with a life, those with facts, and requests.
	format        = 1
	lifeFormat    = 2
	factsFormat   = 3
	requestFormat = 4
	sumBytes      = 4
)

// The kinds of entries.
const (
	sessionKind   = 's'
	lifeKind      = 'S' // a session with its life, in memory a sessionKind
	factsKind     = 'F' // the same with facts
	endedKind     = 'e'
	graceKind     = 'g'
	requestKind   = 'r' // a request with an Idempotency-Key
	forgottenKind = 'n' // none
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What can be wrong with a value.
var (
	errSum     = errors.New("its checksum is wrong")
	errFormat  = fmt.Errorf("its format is not known: %w", ErrNewer)
	errContent = errors.New("it holds something else than it should")
)

// appendNumber appends the number of an entry as the log's keys have it.
func appendNumber(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

// parseNumber is the reverse of appendNumber.
func parseNumber(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// seal appends the sum to the value of the key that starts at that place of b.
func seal(b []byte, from int, key []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[from:])
	return binary.BigEndian.AppendUint32(b, sum)
}

// unseal returns what the value of the key holds between format and sum.
func unseal(key, value []byte) ([]byte, error) {
	end := len(value) - sumBytes
	if end < 1 {
		return nil, errContent
	}
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[:end])
	switch {
	case sum != binary.BigEndian.Uint32(value[end:]):
		return nil, errSum
	case value[0] < format || value[0] > requestFormat:
		return nil, errFormat
	}
	return value[1:end], nil
}

// appendHead appends what every entry starts with.
func appendHead(b []byte, kind byte, key backend.Key) []byte {
	first := byte(format)
	switch kind {
	case lifeKind:
		first = lifeFormat
	case factsKind:
		first = factsFormat
	case requestKind, forgottenKind:
		first = requestFormat
	}
	b = append(b, first, kind)
	b = appendText(b, key.Namespace)
	return appendText(b, key.ID)
}

// appendSession appends an entry: the session as it is now.
func appendSession(b []byte, s *schema.Session) []byte {
	if facts := s.Facts.String(); facts == "" {
		b = append(appendHead(b, lifeKind, s.Key()), s.Life[:]...)
	} else {
		b = append(appendHead(b, factsKind, s.Key()), s.Life[:]...)
		b = appendText(b, facts)
	}
	b = binary.AppendVarint(b, s.CreatedAt.UnixMilli())
	b = binary.AppendVarint(b, s.UpdatedAt.UnixMilli())
	b = binary.AppendVarint(b, s.ExpiresAt.UnixMilli())
	b = binary.AppendVarint(b, s.Revision)
	b = binary.AppendVarint(b, int64(s.TTL))
	b = binary.AppendVarint(b, int64(s.OwnTTL))
	b = appendText(b, s.UserID)
	b = binary.AppendUvarint(b, uint64(len(s.Files)))
	for _, path := range s.Files {
		b = appendText(b, path)
	}
	return append(b, s.Doc...)
}

// A tombstone is until when there must be no session of a key, in ms; 0 where there
// may be one again, and negative where the session was not ended, but expired or
// was evicted. Earlier versions take a negative one for 0.
type tombstone int64

// tombstoneOf returns the tombstone that says what memory does of a key.
func tombstoneOf(until time.Time, lapsed bool) tombstone {
	switch {
	case until.IsZero():
		return 0
	case lapsed:
		return tombstone(-until.UnixMilli())
	default:
		return tombstone(until.UnixMilli())
	}
}

// lapsed is the tombstone of a session that expired at that time, in ms.
func lapsed(expires int64, window time.Duration) tombstone {
	if window == 0 {
		return 0
	}
	return tombstone(-(expires + window.Milliseconds()))
}

// until is when it is over.
func (t tombstone) until() int64 { return max(int64(t), -int64(t)) }

// err is why no session may be created at now, nil if one may.
func (t tombstone) err(now int64) error {
	switch {
	case t.until() <= now:
		return nil
	case t < 0:
		return backend.ErrLapsed
	default:
		return backend.ErrEnded
	}
}

// later returns the one that is over later.
func (t tombstone) later(o tombstone) tombstone {
	if o.until() > t.until() {
		return o
	}
	return t
}

// appendEnded appends an entry: there is no session of the key, and there must
// be none as long as the tombstone says.
func appendEnded(b []byte, key backend.Key, t tombstone) []byte {
	return binary.AppendVarint(appendHead(b, endedKind, key), int64(t))
}

// appendGrace appends an entry: the key leads to the session of that id until
// that time; 0 where it leads nowhere.
func appendGrace(b []byte, old backend.Key, until int64, id string) []byte {
	b = binary.AppendVarint(appendHead(b, graceKind, old), until)
	return appendText(b, id)
}

// appendRequest appends an entry: the request as it is now.
func appendRequest(b []byte, id backend.Key, r *backend.Request) []byte {
	b = append(appendHead(b, requestKind, id), r.Fingerprint[:]...)
	b = binary.AppendVarint(b, r.Lease.UnixMilli())
	b = binary.AppendVarint(b, r.ExpiresAt.UnixMilli())
	guest := byte(0)
	if r.Guest {
		guest = 1
	}
	b = appendText(append(b, guest), r.Plan)
	return append(b, r.Answer...)
}

func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// entry is what one says before it comes to its particulars.
type entry struct {
	kind  byte
	key   backend.Key
	life  schema.Life // of a session; zero where the version that wrote it had none
	facts string      // of a session, as text
	rest  reader
}

// openEntry takes the value of the number apart.
func openEntry(number, value []byte) (entry, error) {
	content, err := unseal(number, value)
	if err != nil {
		return entry{}, err
	}
	return parseEntry(content)
}

// parseEntry takes what unseal returned apart.
func parseEntry(content []byte) (entry, error) {
	r := reader{rest: content}
	kind := r.byte()
	e := entry{kind: kind, key: backend.Key{Namespace: r.text(), ID: r.text()}}
	switch kind {
	case lifeKind:
		e.kind, e.life = sessionKind, r.life()
	case factsKind:
		e.kind, e.life, e.facts = sessionKind, r.life(), r.text()
	}
	valid := validSessionKey
	if kind == requestKind || kind == forgottenKind {
		valid = validRequestID
	}
	if e.rest = r; r.bad || !valid(e.key) {
		return entry{}, errContent
	}
	return e, nil
}

// validSessionKey reports whether the key of a record can be that of a session.
func validSessionKey(key backend.Key) bool {
	return schema.ValidNamespace(key.Namespace) && schema.ValidForeignID(key.ID)
}

// session returns the session of an entry. Its document is still those bytes.
func (e entry) session() (schema.Session, error) {
	r := e.rest
	s := schema.Session{Namespace: e.key.Namespace, ID: e.key.ID, Life: e.life, Facts: schema.StoredFacts(e.facts)}
	s.CreatedAt, s.UpdatedAt, s.ExpiresAt = r.time(), r.time(), r.time()
	s.Revision = r.number()
	s.TTL, s.OwnTTL = time.Duration(r.number()), time.Duration(r.number())
	s.UserID = r.text()
	if n := r.length(); n > 0 { // each takes a byte at least
		s.Files = make([]string, 0, min(n, 64))
		for i := 0; i < n && !r.bad; i++ {
			s.Files = append(s.Files, r.text())
		}
	}
	s.Doc = r.rest
	if r.bad || string(schema.DocID(s.Doc)) != e.key.ID {
		return schema.Session{}, errContent
	}
	// What names a file is for this version to say, whichever wrote the entry.
	// It says so of all that earlier ones found.
	if files, err := s.FileRefs(); err == nil {
		s.Files = files
	}
	return s, nil
}

// times returns when the session of an entry was used last, as far as that
// moved its deadline, when it was created and expires, and whether it was used
// since it was created.
func (e entry) times() (used, created, expires int64, again bool, err error) {
	r := e.rest
	created = r.number()
	updated := r.number()
	expires = r.number()
	revision := r.number()
	ttl := time.Duration(r.number())
	if r.bad {
		return 0, 0, 0, false, errContent
	}
	used = max(updated, expires-ttl.Milliseconds())
	return used, created, expires, revision > 1 || used > created, nil
}

// tombstone returns how long an ended key is taken.
func (e entry) tombstone() (tombstone, error) {
	r := e.rest
	t := tombstone(r.number())
	if r.bad || len(r.rest) > 0 {
		return 0, errContent
	}
	return t, nil
}

// grace returns where the key leads, and until when.
func (e entry) grace() (grace, error) {
	r := e.rest
	g := grace{until: r.number()}
	g.to = backend.Key{Namespace: e.key.Namespace, ID: r.text()}
	if r.bad || len(r.rest) > 0 || g.until != 0 && !schema.ValidForeignID(g.to.ID) {
		return grace{}, errContent
	}
	return g, nil
}

// request returns the request of an entry.
func (e entry) request() (backend.Request, error) {
	r := e.rest
	var req backend.Request
	r.bytes(req.Fingerprint[:])
	req.Lease, req.ExpiresAt = r.time(), r.time()
	req.Guest = r.byte() == 1
	req.Plan = r.text()
	if r.bad {
		return backend.Request{}, errContent
	}
	if len(r.rest) > 0 {
		req.Answer = bytes.Clone(r.rest)
	}
	return req, nil
}

// requestEnd returns when the request of an entry expires.
func (e entry) requestEnd() (int64, error) {
	req, err := e.request()
	return req.ExpiresAt.UnixMilli(), err
}

// reader takes a value apart. What does not fit makes it bad, and all that is
// read after that is nothing.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// bytes fills b.
func (r *reader) bytes(b []byte) {
	if len(r.rest) < len(b) {
		r.fail()
		return
	}
	r.rest = r.rest[copy(b, r.rest):]
}

func (r *reader) life() (l schema.Life) {
	r.bytes(l[:])
	return l
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) length() int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) { //nolint:gosec // size is within the rest
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return int(n) //nolint:gosec // no more than there are bytes
}

func (r *reader) text() string {
	n := r.length()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *reader) time() time.Time { return time.UnixMilli(r.number()).UTC() }
