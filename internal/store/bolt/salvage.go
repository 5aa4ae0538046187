package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt/datafile"
)

// What is here saves what is whole in a damaged file. An entry counts if its
// checksum is right, which is of its number, too.
//
// Pages are reached from the head, as ever, and those that cannot be read are left
// out. What a lost branch led to is looked for among all pages that nothing led to:
// the entries of the log that are between the numbers which the branch was for.
// Among these pages are also some that are free, and hold what was there before.
// The last entry of a key counts there as anywhere; but where the last one itself is
// lost, an earlier one may come back: an older state of a session, or one that was
// ended.

// Salvaged is what Salvage has found.
type Salvaged struct {
	// Path is the damaged file.
	Path string
	// Sessions are saved, Expired not, because their time is over. Lost are entries
	// of the log that are missing or not whole, as far as that shows.
	Sessions, Expired int
	Lost              int64
	// Requests are saved as well, if they are wanted.
	Requests int
	// Heads: neither of the file's heads is whole, so that all of its pages count,
	// free or not.
	Heads bool
}

// Sink takes what a data file holds.
type Sink struct {
	Session func(schema.Session) error
	// Request takes the requests with an Idempotency-Key; nil where they are not wanted.
	Request func(backend.RequestKey, backend.Request) error
}

// Salvage reads what is whole in the data file of a directory, and hands on what is live
// at now, in the order in which it was written. It writes nothing. Returns ErrInUse,
// ErrNoData and the sink's error as it is.
func Salvage(now time.Time, dir string, to Sink) (found Salvaged, err error) {
	path := filepath.Join(dir, dataName)
	found.Path = path
	file, err := openForReading(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found, ErrNoData
	case err != nil:
		return found, fmt.Errorf("opening the data file: %w", withoutPath(err))
	}
	defer func() { _ = file.Close() }()
	unlock, err := lockToRead(dir)
	if err != nil {
		return found, err
	}
	defer unlock()
	info, err := file.Stat()
	if err != nil {
		return found, fmt.Errorf("reading the data file: %w", withoutPath(err))
	}
	readAhead(file)
	s := &salvage{file: file, size: info.Size(), entries: make(map[uint64]saved), reached: make(map[uint64]bool)}
	found.Heads = s.walk()
	s.readJournal()
	found.Lost = s.lost()
	for _, one := range s.last() {
		if one.session.kind == requestKind && to.Request != nil {
			if err := s.handOnRequest(now, one, to, &found); err != nil {
				return found, err
			}
		}
		if one.session.kind != sessionKind {
			continue
		}
		sess, err := s.read(one)
		switch {
		case err != nil:
			found.Lost++
		case !sess.Live(now):
			found.Expired++
		default:
			if err := to.Session(sess); err != nil {
				return found, err
			}
			found.Sessions++
		}
	}
	return found, nil
}

// saved is where a whole entry is.
type saved struct {
	number  uint64
	session entryHead
	off     int64
	size    int64
}

// entryHead is what an entry is about.
type entryHead struct {
	kind byte
	key  backend.Key
}

// numbers are the entries from one on and before another; 0 for no bound.
type numbers struct{ from, before uint64 }

func (n numbers) has(number uint64) bool {
	return number >= n.from && (n.before == 0 || number < n.before)
}

// salvage is the reading of a damaged file.
type salvage struct {
	file     *os.File
	size     int64
	pageSize int64
	entries  map[uint64]saved
	reached  map[uint64]bool // pages that something leads to
	missing  []numbers       // what lost pages were for
	tally    tally
	journal  uint64 // the page of the journal; 0 if nothing leads to it
}

// walk finds the entries. It reports whether both heads are lost.
func (s *salvage) walk() (headless bool) {
	pages, err := datafile.Open(s.file, s.size)
	if err != nil {
		s.pageSize = s.guessPageSize()
		s.scan([]numbers{{}})
		return true
	}
	s.pageSize = pages.PageSize
	root, ok := s.page(pages.Root)
	if !ok {
		s.scan([]numbers{{}})
		return false
	}
	seen := false
	for i := range root.Count {
		e, ok := root.Element(i)
		if !ok || !root.IsLeaf() {
			continue
		}
		id, sequence, inline, ok := e.Bucket()
		switch {
		case !ok:
		case string(e.Key) == journalBucket:
			s.journal = id
		case string(e.Key) != logBucket:
		case id != 0:
			seen, s.tally = true, tally(sequence)
			s.subtree(id, numbers{}, 0)
		default:
			seen, s.tally = true, tally(sequence)
			s.leaf(&inline, numbers{})
		}
	}
	if !seen {
		s.missing = append(s.missing, numbers{})
	}
	if from, torn := s.torn(); torn {
		s.missing = append(s.missing, numbers{from: from})
	}
	if len(s.missing) > 0 {
		s.scan(s.missing)
	}
	return false
}

// torn reports whether entries are missing between pages that are whole, and from
// which number on there should be some.
func (s *salvage) torn() (from uint64, torn bool) {
	c := content{entries: int64(len(s.entries))}
	if c.first, c.last = s.bounds(); s.tally > 0 && s.tally.first() <= s.tally.last() {
		from = s.tally.first()
	} else {
		from = c.first
	}
	return from, c.checkNumbers(s.tally) != nil
}

// bounds are the first and the last number.
func (s *salvage) bounds() (first, last uint64) {
	if len(s.entries) == 0 {
		return 0, 0
	}
	first = 1<<64 - 1
	for number := range s.entries {
		first, last = min(first, number), max(last, number)
	}
	return first, last
}

// guessPageSize is that of this machine: what else would have written the file
// would not have been read here.
func (s *salvage) guessPageSize() int64 { return int64(os.Getpagesize()) }

// page reads a page that says that it is that one.
func (s *salvage) page(id uint64) (datafile.Page, bool) {
	return datafile.ReadPage(s.file, s.size, s.pageSize, id)
}

// subtree finds the entries of a page and of those below it.
func (s *salvage) subtree(id uint64, in numbers, depth int) {
	p, ok := s.page(id)
	if !ok || depth > datafile.MaxDepth || s.reached[id] {
		s.missing = append(s.missing, in)
		return
	}
	s.reached[id] = true
	switch {
	case p.IsLeaf():
		if !s.leaf(&p, in) {
			s.missing = append(s.missing, in)
		}
	case p.IsBranch() && p.Count > 0:
		s.branch(&p, in, depth)
	default:
		s.missing = append(s.missing, in)
	}
}

// branch goes down to the pages of a branch. What one is for, its key says and
// that of the next one.
func (s *salvage) branch(p *datafile.Page, in numbers, depth int) {
	type child struct {
		id   uint64
		from uint64
	}
	var children []child
	last := in.from
	for i := range p.Count {
		e, ok := p.Element(i)
		from, isNumber := parseNumber(e.Key)
		if !ok || !isNumber || from < last || !in.has(from) {
			s.missing = append(s.missing, numbers{last, in.before}) // and what is below is read all the same
			continue
		}
		last = from
		children = append(children, child{e.Page, from})
	}
	for i, c := range children {
		below := numbers{c.from, in.before}
		if i+1 < len(children) {
			below.before = children[i+1].from
		}
		s.subtree(c.id, below, depth+1)
	}
}

// leaf notes the whole entries of a leaf within bounds. It reports whether all are.
func (s *salvage) leaf(p *datafile.Page, in numbers) bool {
	whole := true
	for i := range p.Count {
		el, ok := p.Element(i)
		if !ok {
			return false
		}
		number, ok := parseNumber(el.Key)
		if !ok || !in.has(number) {
			whole = false
			continue
		}
		e, err := openEntry(el.Key, el.Value)
		if err != nil {
			whole = false
			continue
		}
		if _, there := s.entries[number]; !there {
			s.entries[number] = saved{number, entryHead{e.kind, e.key}, el.Off, int64(len(el.Value))}
		}
	}
	return whole
}

// scan looks through all pages that nothing led to for leaves of the log.
func (s *salvage) scan(missing []numbers) {
	if s.pageSize == 0 {
		return
	}
	pages := uint64(s.size / s.pageSize) //nolint:gosec // a size is not negative
	for id := uint64(2); id < pages; id++ {
		if s.reached[id] {
			continue
		}
		p, ok := s.page(id)
		if !ok || !p.IsLeaf() {
			continue
		}
		for _, in := range missing {
			s.leaf(&p, in)
		}
	}
}

// readJournal notes the entries of the journal which the log should have and has not,
// or which follow it.
func (s *salvage) readJournal() {
	if s.pageSize == 0 {
		return
	}
	if p, ok := s.page(s.journal); ok {
		s.readFrames(&p)
		return
	}
	for id := range uint64(s.size / s.pageSize) { //nolint:gosec // a size is not negative
		if s.reached[id] {
			continue
		}
		if p, ok := s.page(id); ok && p.IsLeaf() {
			s.readFrames(&p)
		}
	}
}

// readFrames does so of a page, if it is that of the journal. Whether a frame is whole
// takes the owner's ownerID to say: what counts here are the checksums of entries.
func (s *salvage) readFrames(p *datafile.Page) {
	e, ok := p.Element(0)
	if !ok || string(e.Key) != journalKey {
		return
	}
	area, off := e.Value, e.Off
	_, last := s.bounds()
	lost := append([]numbers{{from: last + 1}}, s.missing...)
	for at := 0; at+frameHeader < len(area); {
		payload := binary.BigEndian.Uint32(area[at:])
		if uint64(payload) > uint64(len(area)-at-frameHeader) { //nolint:gosec // positive
			at++
			continue
		}
		length := frameHeader + int(payload)
		if !s.readFrame(area[at:at+length], off+int64(at), lost) {
			length = 1
		}
		at += length
	}
}

// readFrame does so of a frame, if that is what there is.
func (s *salvage) readFrame(frame []byte, off int64, lost []numbers) (whole bool) {
	_ = eachRecord(frame, func(n uint64, record []byte, at int) error { // as far as it can be read
		e, err := openEntry(appendNumber(nil, n), record)
		if err != nil {
			return err
		}
		whole = true
		_, there := s.entries[n]
		if !there && slices.ContainsFunc(lost, func(in numbers) bool { return in.has(n) }) {
			s.entries[n] = saved{n, entryHead{e.kind, e.key}, off + int64(at), int64(len(record))}
		}
		return nil
	})
	return whole
}

// lost is how many entries between the first and the last are not there.
func (s *salvage) lost() int64 {
	if len(s.entries) == 0 {
		return 0
	}
	first, last := s.bounds()
	return int64(last-first+1) - int64(len(s.entries)) //nolint:gosec // numbers count entries
}

// last returns the last entries of all keys, in order.
func (s *salvage) last() []saved {
	byKey := make(map[backend.Key]saved)
	for _, one := range s.entries {
		if one.session.kind == graceKind {
			continue
		}
		if other, ok := byKey[one.session.key]; !ok || one.number > other.number {
			byKey[one.session.key] = one
		}
	}
	all := make([]saved, 0, len(byKey))
	for _, one := range byKey {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b saved) int { return cmp.Compare(a.number, b.number) })
	return all
}

// open reads an entry.
func (s *salvage) open(one saved) (entry, error) {
	value := make([]byte, one.size)
	if _, err := s.file.ReadAt(value, one.off); err != nil {
		return entry{}, fmt.Errorf("reading the data file: %w", err)
	}
	return openEntry(appendNumber(nil, one.number), value)
}

// read reads the session of an entry.
func (s *salvage) read(one saved) (schema.Session, error) {
	e, err := s.open(one)
	if err != nil {
		return schema.Session{}, err
	}
	sess, err := e.session()
	sess.Doc = bytes.Clone(sess.Doc)
	return sess, err
}
