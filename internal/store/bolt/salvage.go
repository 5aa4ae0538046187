package bolt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
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
	// Heads: neither of the file's heads is whole, so that all of its pages count,
	// free or not.
	Heads bool
}

// Salvage reads what is whole in the data file of a directory, and calls yield with
// the sessions that are live at now, in the order in which they were written. It
// writes nothing. Returns ErrInUse, ErrNoData and yield's error as it is.
func Salvage(now time.Time, dir string, yield func(schema.Session) error) (found Salvaged, err error) {
	path := filepath.Join(dir, dataName)
	found.Path = path
	file, err := os.Open(path) //nolint:gosec // the operator names the directory
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
	s := &salvage{file: file, size: info.Size(), entries: make(map[uint64]saved), claimed: make(map[uint64]bool)}
	found.Heads = s.walk()
	found.Lost = s.lost()
	for _, one := range s.last() {
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
			if err := yield(sess); err != nil {
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
	claimed  map[uint64]bool // pages that something leads to
	missing  []numbers       // what lost pages were for
	tally    tally
}

// walk finds the entries. It reports whether both heads are lost.
func (s *salvage) walk() (headless bool) {
	im, err := openImage(s.file, s.size)
	if err != nil {
		s.pageSize = s.guessPageSize()
		s.scan([]numbers{{}})
		return true
	}
	s.pageSize = im.pageSize
	root, ok := s.page(im.root)
	if !ok {
		s.scan([]numbers{{}})
		return false
	}
	seen := false
	for i := range root.count {
		flags, key, value, at, ok := root.element(i)
		if !ok || root.flags != leafFlag || flags != bucketFlag || string(key) != logBucket || len(value) < bucketHeader {
			continue
		}
		seen, s.tally = true, tally(native.Uint64(value[8:]))
		if id := native.Uint64(value); id != 0 {
			s.subtree(id, numbers{}, 0)
		} else if len(value) >= bucketHeader+pageHeader {
			inline, _, _ := parsePage(value[bucketHeader:], at+bucketHeader)
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
func (s *salvage) page(id uint64) (page, bool) {
	pages := uint64(s.size / s.pageSize) //nolint:gosec // a size is not negative
	if id < 2 || id >= pages {
		return page{}, false
	}
	off := int64(id) * s.pageSize //nolint:gosec // within the file
	data := make([]byte, s.pageSize)
	if _, err := s.file.ReadAt(data, off); err != nil {
		return page{}, false
	}
	_, self, overflow := parsePage(data, off)
	if self != id || id+uint64(overflow) >= pages || (uint64(overflow)+1)*uint64(s.pageSize) > maxPageBytes { //nolint:gosec // positive
		return page{}, false
	}
	if overflow > 0 {
		data = make([]byte, (int64(overflow)+1)*s.pageSize)
		if _, err := s.file.ReadAt(data, off); err != nil && !errors.Is(err, io.EOF) {
			return page{}, false
		}
	}
	p, _, _ := parsePage(data, off)
	return p, true
}

// subtree finds the entries of a page and of those below it.
func (s *salvage) subtree(id uint64, in numbers, depth int) {
	p, ok := s.page(id)
	if !ok || depth > maxDepth || s.claimed[id] {
		s.missing = append(s.missing, in)
		return
	}
	s.claimed[id] = true
	switch {
	case p.flags == leafFlag:
		if !s.leaf(&p, in) {
			s.missing = append(s.missing, in)
		}
	case p.flags == branchFlag && p.count > 0:
		s.branch(&p, in, depth)
	default:
		s.missing = append(s.missing, in)
	}
}

// branch goes down to the pages of a branch. What one is for, its key says and
// that of the next one.
func (s *salvage) branch(p *page, in numbers, depth int) {
	type child struct {
		id   uint64
		from uint64
	}
	var children []child
	last := in.from
	for i := range p.count {
		id, key, _, _, ok := p.element(i)
		from, isNumber := parseNumber(key)
		if !ok || !isNumber || from < last || !in.has(from) {
			s.missing = append(s.missing, numbers{last, in.before}) // and what is below is read all the same
			continue
		}
		last = from
		children = append(children, child{id, from})
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
func (s *salvage) leaf(p *page, in numbers) bool {
	whole := true
	for i := range p.count {
		_, key, value, at, ok := p.element(i)
		if !ok {
			return false
		}
		number, ok := parseNumber(key)
		if !ok || !in.has(number) {
			whole = false
			continue
		}
		e, err := openEntry(key, value)
		if err != nil {
			whole = false
			continue
		}
		if _, there := s.entries[number]; !there {
			s.entries[number] = saved{number, entryHead{e.kind, e.key}, at, int64(len(value))}
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
		if s.claimed[id] {
			continue
		}
		p, ok := s.page(id)
		if !ok || p.flags != leafFlag {
			continue
		}
		for _, in := range missing {
			s.leaf(&p, in)
		}
	}
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

// read reads the session of an entry.
func (s *salvage) read(one saved) (schema.Session, error) {
	value := make([]byte, one.size)
	if _, err := s.file.ReadAt(value, one.off); err != nil {
		return schema.Session{}, fmt.Errorf("reading the data file: %w", err)
	}
	e, err := openEntry(appendNumber(nil, one.number), value)
	if err != nil {
		return schema.Session{}, err
	}
	sess, err := e.session()
	sess.Doc = bytes.Clone(sess.Doc)
	return sess, err
}
