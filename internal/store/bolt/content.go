package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// content is what a data file holds, less the sessions themselves.
type content struct {
	// pages is how many there are, used how many of them are in use.
	pages, used uint64
	pageSize    int64

	// index knows the last entries that count.
	index *index
	// entries is how many the log has, logBytes what they take.
	entries, logBytes int64

	// live are the sessions that have not expired, in no order, and ended the
	// tombstones, in that of their ends. expired is how many sessions have.
	live, ended []place
	expired     int
	graces      map[store.Key]grace

	hasFormat bool
}

// place is where an entry is in the file.
type place struct {
	number uint64
	hash   uint64 // of the key
	// used and created are a session's times, used as far as that moved its
	// deadline.
	used, created int64
	// expires is the deadline of a session, or the end of a tombstone.
	expires int64
	off     int64 // of the value
	size    uint32
	kind    byte
}

// readContent checks all of a file, and returns what it holds at now.
func readContent(file *os.File, now time.Time) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the data file: %w", err)
	}
	im, err := openImage(file, info.Size())
	if err != nil {
		return nil, err
	}
	c := &collector{index: newIndex()}
	if err := im.buckets(c.bucket); err != nil {
		if errors.Is(err, errSum) || errors.Is(err, errContent) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	all := c.sum(now.UnixMilli())
	all.pages, all.used, all.pageSize = im.end, im.used(), im.pageSize
	if !all.hasFormat {
		return nil, damaged("it does not say its format")
	}
	return all, nil
}

// collector makes the visits that read a file, one for each goroutine.
type collector struct {
	index *index
	mu    sync.Mutex
	parts []*part
}

// part is what one visit has seen.
type part struct {
	of        *collector
	places    []place
	graces    []numberedGrace
	hasFormat bool
}

type numberedGrace struct {
	number uint64
	old    store.Key
	to     grace
}

func (c *collector) bucket(name string) (func() visit, error) {
	add := map[string]func(*part, []byte, []byte, int64) error{
		logBucket: (*part).entry, metaBucket: (*part).meta,
	}[name]
	if add == nil {
		return nil, damaged("it has a bucket that is not known, %q", name)
	}
	return func() visit {
		p := &part{of: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.parts = append(c.parts, p)
		return func(key, value []byte, at int64, flags uint64) error {
			if flags != 0 {
				return errContent
			}
			return add(p, key, value, at)
		}
	}, nil
}

func (p *part) meta(key, value []byte, _ int64) error {
	_, err := unseal(key, value)
	p.hasFormat = p.hasFormat || string(key) == formatKey
	return err
}

// entry notes where an entry of the log is.
func (p *part) entry(key, value []byte, off int64) error {
	number, ok := parseNumber(key)
	if !ok {
		return errContent
	}
	content, err := unseal(key, value)
	if err != nil {
		return err
	}
	e, err := parseEntry(content)
	if err != nil {
		return err
	}
	found := place{
		number: number, hash: p.of.index.hash(e.key), kind: e.kind,
		off: off, size: uint32(len(value)), //nolint:gosec // smaller than a page can be
	}
	switch e.kind {
	case sessionKind:
		found.used, found.created, found.expires, err = e.times()
	case endedKind:
		found.expires, err = e.until()
	case graceKind:
		var to grace
		if to, err = e.grace(); err == nil {
			p.graces = append(p.graces, numberedGrace{number, e.key, to})
		}
	default:
		err = errContent
	}
	p.places = append(p.places, found)
	return err
}

// sum puts the parts together: of each key the last entry counts.
func (c *collector) sum(now int64) *content {
	all := &content{index: c.index, graces: make(map[store.Key]grace)}
	total := 0
	for _, p := range c.parts {
		total += len(p.places)
		all.hasFormat = all.hasFormat || p.hasFormat
	}
	last := make(map[uint64]position, total)
	for _, p := range c.parts {
		for _, e := range p.places {
			all.entries++
			all.logBytes += int64(e.size) + entryBytes
			if e.kind != graceKind {
				last[e.hash] = max(last[e.hash], at(e.number, e.kind == sessionKind))
			}
		}
	}
	for _, p := range c.parts {
		for _, e := range p.places {
			live := e.kind == sessionKind
			switch {
			case e.kind == graceKind || last[e.hash] != at(e.number, live):
			case e.expires <= now:
				delete(last, e.hash)
				if live {
					all.expired++
				}
			case live:
				all.live = append(all.live, e)
			default:
				all.ended = append(all.ended, e)
			}
		}
	}
	all.index.last = last
	slices.SortFunc(all.ended, func(a, b place) int { return cmp.Compare(a.expires, b.expires) })
	c.sumGraces(all, now)
	return all
}

func (c *collector) sumGraces(all *content, now int64) {
	var graces []numberedGrace
	for _, p := range c.parts {
		graces = append(graces, p.graces...)
	}
	slices.SortFunc(graces, func(a, b numberedGrace) int { return cmp.Compare(a.number, b.number) })
	for _, g := range graces {
		if g.to.until > now {
			all.graces[g.old] = g.to
		} else {
			delete(all.graces, g.old)
		}
	}
}

// read reads the entry. It uses the buffer, or a larger one.
func (p place) read(file io.ReaderAt, buf *[]byte) (entry, error) {
	if cap(*buf) < int(p.size) {
		*buf = make([]byte, p.size)
	}
	value := (*buf)[:p.size]
	if _, err := file.ReadAt(value, p.off); err != nil {
		return entry{}, fmt.Errorf("reading the data file: %w", err)
	}
	content, err := unseal(appendNumber(make([]byte, 0, 8), p.number), value)
	if err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return parseEntry(content)
}

// session reads the session of a place.
func (p place) session(file io.ReaderAt, buf *[]byte) (schema.Session, error) {
	e, err := p.read(file, buf)
	if err != nil {
		return schema.Session{}, err
	}
	s, err := e.session()
	if err != nil {
		return schema.Session{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return s, nil
}
