package bolt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt/datafile"
)

// ErrDamaged: the data file is not as it was written.
var ErrDamaged = datafile.ErrDamaged

// content is what a data file holds, less the sessions themselves.
type content struct {
	// pages is how many there are, used how many of them are in use.
	pages, used uint64
	pageSize    int64

	// index knows the last entries that count.
	index *index
	// entries is how many the log has, logBytes what they take, first and last the
	// bounds of their numbers.
	entries, logBytes int64
	first, last       uint64

	// live are the sessions that have not expired, in the order of their
	// entries, and ended the tombstones, in that of their ends. expired is how
	// many sessions have.
	live, ended []place
	expired     int
	// lapsed are the sessions that have expired lately, in the order of their
	// deadlines: within the longest time that tombstones are kept.
	lapsed []place
	// requests are those that have not expired, in the order of their entries.
	requests []place
	graces   map[backend.Key]grace
	// over are the numbers of the last entries of sessions and of graces whose
	// time is over, in no order; expiredPlaces those of sessions that have expired.
	retract       []uint64
	expiredPlaces []place

	hasFormat bool
	version   int
	recency   recency
	served    []uint64
	owners    owners
	reserve   int64
	journal   journal
	txid      uint64
}

// maxTombstone is longer than any setting lets tombstones last.
const maxTombstone = 24 * time.Hour

// place is where an entry is in the file.
type place struct {
	number uint64
	hash   uint64 // of the key
	// used and created are a session's times, used as far as that moved its
	// deadline.
	used, created int64
	// rank is its place in the order of uses that the file was closed with; 0 for
	// none. served: a service made it. again: it was used since it was created.
	rank          int64
	served, again bool
	// expires is the deadline of a session, or the end of a tombstone.
	expires int64
	off     int64 // of the value
	size    uint32
	kind    byte
	counts  bool // it is its key's last
}

// readContent checks all of a file, and returns what it holds at now.
func readContent(file *os.File, now time.Time) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the data file: %w", err)
	}
	pages, err := datafile.Open(file, info.Size())
	if err != nil {
		return nil, err
	}
	c := &contentReader{index: newIndex()}
	if err := pages.Buckets(c.bucket); err != nil {
		if errors.Is(err, errSum) || errors.Is(err, errContent) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	journalErr := c.journal()
	all := c.sum(now.UnixMilli())
	all.pages, all.used, all.pageSize, all.txid = pages.End, pages.Used(), pages.PageSize, pages.TxID
	if !all.hasFormat {
		return nil, datafile.Damaged("it does not say its format")
	}
	if err := all.checkVersion(); err != nil {
		return nil, err
	}
	if journalErr != nil {
		return nil, journalErr
	}
	if err := all.checkNumbers(c.tally); err != nil {
		return nil, err
	}
	return all, nil
}

// countingBytes is what of the log counts.
func (c *content) countingBytes() (n int64) {
	for _, places := range [][]place{c.live, c.ended, c.requests} {
		for i := range places {
			n += int64(places[i].size) + entryBytes
		}
	}
	return n
}

// contentReader makes the visits that read a file.
type contentReader struct {
	index *index
	mu    sync.Mutex
	parts []*section
	found journal
	tally tally
}

// section is what one visit has seen, in order.
type section struct {
	of        *contentReader
	places    []place
	graces    []numberedGrace
	hasFormat bool
	version   int
	recency   recency
	served    []uint64
	owners    owners
	reserve   int64
	// area is what the journal's area holds, found where it is.
	area  []byte
	found journal
}

type numberedGrace struct {
	number uint64
	old    backend.Key
	to     grace
}

func (c *contentReader) bucket(name string, sequence uint64) (func() datafile.Visitor, error) {
	add := map[string]func(*section, []byte, []byte, int64) error{
		logBucket: (*section).entry, metaBucket: (*section).meta, journalBucket: (*section).journal,
	}[name]
	if add == nil {
		return nil, datafile.Damaged("it has a bucket that is not known, %q", name)
	}
	if name == logBucket {
		c.tally = tally(sequence)
	}
	return func() datafile.Visitor {
		p := &section{of: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.parts = append(c.parts, p)
		return func(key, value []byte, off int64) error { return add(p, key, value, off) }
	}, nil
}

func (p *section) meta(key, value []byte, _ int64) error {
	content, err := unseal(key, value)
	if string(key) == formatKey {
		p.hasFormat, p.version = true, versionOf(content)
	}
	if err != nil {
		return err
	}
	switch {
	case string(key) == recencyKey:
		p.recency, err = parseRecency(content)
	case string(key) == ownersKey:
		p.owners, err = parseOwners(content)
	case bytes.HasPrefix(key, []byte(reserveKey)):
		p.reserve += int64(len(value))
	}
	if err == nil && string(key) == servedKey {
		p.served, err = parseServed(content)
	}
	return err
}

// entry notes where an entry of the log is.
func (p *section) entry(key, value []byte, off int64) error {
	number, ok := parseNumber(key)
	if !ok {
		return errContent
	}
	e, err := openEntry(key, value)
	if err != nil {
		return err
	}
	found := place{
		number: number, hash: p.of.index.hash(e.key), kind: e.kind,
		off: off, size: uint32(len(value)), //nolint:gosec // smaller than a page can be
	}
	switch e.kind {
	case sessionKind:
		found.used, found.created, found.expires, found.again, err = e.times()
	case endedKind:
		var t tombstone
		t, err = e.tombstone()
		found.expires = t.until()
	case graceKind:
		var to grace
		if to, err = e.grace(); err == nil {
			p.graces = append(p.graces, numberedGrace{number, e.key, to})
		}
	case requestKind:
		found.expires, err = e.requestEnd()
	case forgottenKind:
	default:
		err = errContent
	}
	p.places = append(p.places, found)
	return err
}

// sum puts the sections together: of each key the last entry counts.
func (c *contentReader) sum(now int64) *content {
	all := &content{index: c.index, graces: make(map[backend.Key]grace), journal: c.found}
	for _, p := range c.parts {
		all.hasFormat = all.hasFormat || p.hasFormat
		all.version = max(all.version, p.version)
		if p.recency != nil {
			all.recency = p.recency
		}
		all.served = append(all.served, p.served...)
		if p.owners != nil {
			all.owners = p.owners
		}
		all.reserve += p.reserve
	}
	c.parts = slices.DeleteFunc(c.parts, func(p *section) bool { return len(p.places) == 0 })
	slices.SortFunc(c.parts, func(a, b *section) int { return cmp.Compare(a.places[0].number, b.places[0].number) })
	var running sync.WaitGroup
	for i := range indexParts {
		running.Go(func() { c.findLast(i, now) })
	}
	running.Wait()
	live := 0
	for _, p := range c.parts {
		for i := range p.places {
			if e := &p.places[i]; e.counts && e.kind == sessionKind && e.expires > now {
				live++
			}
		}
	}
	all.live = make([]place, 0, live)
	for _, p := range c.parts {
		for i := range p.places {
			e := &p.places[i]
			if all.entries == 0 {
				all.first = e.number
			}
			all.entries++
			all.last = e.number
			all.logBytes += int64(e.size) + entryBytes
			switch live := e.kind == sessionKind; {
			case !e.counts:
			case e.kind == requestKind && e.expires > now:
				all.requests = append(all.requests, *e)
			case e.kind == requestKind:
			case e.expires > now && live:
				all.live = append(all.live, *e)
			case e.expires > now:
				all.ended = append(all.ended, *e)
			case live:
				all.expiredPlaces = append(all.expiredPlaces, *e)
				if e.expires+maxTombstone.Milliseconds() > now {
					all.lapsed = append(all.lapsed, *e)
				}
			}
		}
		p.places = nil
	}
	if all.entries == 0 {
		all.last = c.tally.last()
	}
	all.recency.apply(all.live)
	applyServed(all.served, all.live)
	all.expired = len(all.expiredPlaces)
	slices.SortFunc(all.ended, func(a, b place) int { return cmp.Compare(a.expires, b.expires) })
	slices.SortFunc(all.lapsed, func(a, b place) int { return cmp.Compare(a.expires, b.expires) })
	c.sumGraces(all, now)
	return all
}

// findLast finds the last entries of the keys of one part of the index. It
// learns all but those of tombstones and requests whose time is over.
func (c *contentReader) findLast(i int, now int64) {
	last := c.index.last[i]
	var free []uint64 // keys
	for _, p := range slices.Backward(c.parts) {
		for j := len(p.places) - 1; j >= 0; j-- {
			e := &p.places[j]
			if part(e.hash) != i || e.kind == graceKind {
				continue
			}
			if _, later := last[e.hash]; later {
				continue
			}
			e.counts = true
			session := e.kind == sessionKind
			last[e.hash] = at(e.number, session || e.kind == requestKind)
			if !session && e.expires <= now {
				free = append(free, e.hash)
			}
		}
	}
	for _, hash := range free {
		delete(last, hash)
	}
}

func (c *contentReader) sumGraces(all *content, now int64) {
	var graces []numberedGrace
	for _, p := range c.parts {
		graces = append(graces, p.graces...)
	}
	slices.SortFunc(graces, func(a, b numberedGrace) int { return cmp.Compare(a.number, b.number) })
	over := make(map[backend.Key]uint64) // the last entries that are
	for _, g := range graces {
		delete(all.graces, g.old)
		delete(over, g.old)
		switch {
		case g.to.until > now:
			all.graces[g.old] = g.to
		case g.to.until > 0:
			over[g.old] = g.number
		}
	}
	for _, number := range over {
		all.retract = append(all.retract, number)
	}
}

// read reads the entry, which is good until the next one is read.
func (p *place) read(buf *datafile.Buffer) (entry, error) {
	value, err := buf.Read(p.off, int64(p.size))
	if err != nil {
		return entry{}, err
	}
	content, err := unseal(appendNumber(make([]byte, 0, 8), p.number), value)
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return parseEntry(content)
}

// session reads the session of a place.
func (p *place) session(buf *datafile.Buffer) (schema.Session, error) {
	e, err := p.read(buf)
	if err != nil {
		return schema.Session{}, err
	}
	s, err := e.session()
	if err != nil {
		return schema.Session{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s.Doc = append(make([]byte, 0, len(s.Doc)), s.Doc...)
	return s, nil
}
