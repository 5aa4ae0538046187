// Package datafile reads bbolt files without bbolt.
//
// bbolt keeps checksums of its two meta pages alone, and trusts all others: a wrong
// number on a page makes it look outside its memory map, and no recover helps against
// that. This package checks every number before it uses it, so that a file which it has
// read is one that bbolt can read, and a damaged one is an error.
//
// Open reads the meta pages, Buckets visits all elements of all buckets, on many
// goroutines, and Page and Element are for those that look for what is left of a
// damaged file.
package datafile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrDamaged is returned for a file that is not as bbolt wrote it.
var ErrDamaged = errors.New("the data file is damaged")

// Damaged returns an ErrDamaged that says what is wrong.
func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Numbers on pages have the machine's byte order.
var native = binary.NativeEndian

// The layout of pages, see bbolt's internal/common.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16 // branch: pos 4, ksize 4, page 8; leaf: flags 4, pos 4, ksize 4, vsize 4

	branchFlag   = 1
	leafFlag     = 2
	metaFlag     = 4
	freelistFlag = 16
	bucketFlag   = 1

	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaSize     = 56 // without the checksum
	bucketHeader = 16 // root 8, sequence 8
	noFreelist   = 1<<64 - 1
	maxPageBytes = 1 << 30 // four of the largest documents are less
	minPageSize  = 1 << 10
	maxPageSize  = 1 << 24

	// MaxDepth is the most levels that a tree of pages may have.
	MaxDepth = 32
	// leastSubtrees is how many parts a tree has at least that is read by several
	// goroutines.
	leastSubtrees = 64
)

// Meta is what a meta page holds.
type Meta struct {
	PageSize int64
	// Root is the page that lists the buckets.
	Root uint64
	// End is the number of the first page that was never used.
	End uint64
	// TxID is the number of the last transaction, Checksum that of the page.
	TxID, Checksum uint64

	freelist uint64
}

// ReadMeta returns what the meta page at the offset holds, nil if it is not valid.
func ReadMeta(file io.ReaderAt, off int64) (*Meta, error) {
	var b [pageHeader + metaSize + 8]byte
	if _, err := file.ReadAt(b[:], off); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the data file: %w", err)
	}
	meta := b[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSize]) // never fails
	if native.Uint32(meta) != metaMagic || native.Uint32(meta[4:]) != metaVersion || native.Uint64(meta[metaSize:]) != sum.Sum64() {
		return nil, nil
	}
	m := &Meta{
		PageSize: int64(native.Uint32(meta[8:])),
		Root:     native.Uint64(meta[16:]), freelist: native.Uint64(meta[32:]), End: native.Uint64(meta[40:]),
		TxID: native.Uint64(meta[48:]), Checksum: sum.Sum64(),
	}
	if native.Uint16(b[8:]) != metaFlag || m.PageSize < minPageSize || m.PageSize > maxPageSize {
		return nil, nil
	}
	return m, nil
}

// File is a bbolt file that is open for reading.
type File struct {
	Meta
	file io.ReaderAt
	// used has a bit for each page that was read, or that a page which was read runs
	// over into.
	used []atomic.Uint64
}

// Open finds the valid one of a file's two meta pages, or the later one of both.
func Open(file io.ReaderAt, size int64) (*File, error) {
	var best *Meta
	for at := int64(0); at <= maxPageSize && at < size; {
		m, err := ReadMeta(file, at)
		if err != nil {
			return nil, err
		}
		if m != nil && (at == 0 || at == m.PageSize) && (best == nil || m.TxID > best.TxID) {
			best = m
		}
		switch {
		case m != nil && at == 0:
			at = m.PageSize
		case best != nil && at >= best.PageSize:
			at = size
		case at == 0:
			at = minPageSize
		default:
			at *= 2 // the first one is lost: the second is where the second page starts
		}
	}
	switch {
	case best == nil:
		return nil, Damaged("neither of its two heads is valid")
	case best.End > uint64(size/best.PageSize): //nolint:gosec // a size is not negative
		return nil, Damaged("it ends at byte %d, and should have %d pages of %d bytes at least", size, best.End, best.PageSize)
	}
	return &File{Meta: *best, file: file, used: make([]atomic.Uint64, best.End/64+1)}, nil
}

// Buffer returns a new Buffer of the file's pages.
func (f *File) Buffer() *Buffer {
	return NewBuffer(f.file, int64(f.End)*f.PageSize) //nolint:gosec // within the file
}

// Used returns how many pages were read so far, the meta pages included. After Buckets
// these are all that are in use.
func (f *File) Used() uint64 {
	n := uint64(2)
	for id := uint64(2); id < f.End; id++ {
		if f.isUsed(id) {
			n++
		}
	}
	return n
}

func (f *File) isUsed(id uint64) bool { return f.used[id/64].Load()&(1<<(id%64)) != 0 }

// Page is a page with those that it runs over into.
type Page struct {
	ID    uint64
	Count int // of elements

	flags    uint16
	overflow uint32
	data     []byte
	off      int64 // of data in the file
}

// ParsePage returns the page that begins with data, which is at that offset of the
// file.
func ParsePage(data []byte, off int64) Page {
	return Page{
		ID: native.Uint64(data), Count: int(native.Uint16(data[10:])),
		flags: native.Uint16(data[8:]), overflow: native.Uint32(data[12:]), data: data, off: off,
	}
}

// IsLeaf reports whether the page is a leaf.
func (p *Page) IsLeaf() bool { return p.flags == leafFlag }

// IsBranch reports whether the page is a branch.
func (p *Page) IsBranch() bool { return p.flags == branchFlag }

// Element is an element of a page. Its bytes are those of the page.
type Element struct {
	// Page is the page that an element of a branch refers to.
	Page uint64
	Key  []byte
	// Value is that of an element of a leaf, Off its offset in the file.
	Value []byte
	Off   int64

	flags uint64
}

// Bucket returns the header of a bucket, if the element is one. Where root is 0 the
// bucket is within the value: inline is its only page.
func (e *Element) Bucket() (root, sequence uint64, inline Page, ok bool) {
	if e.flags != bucketFlag || len(e.Value) < bucketHeader {
		return 0, 0, Page{}, false
	}
	root, sequence = native.Uint64(e.Value), native.Uint64(e.Value[8:])
	if root == 0 {
		if len(e.Value) < bucketHeader+pageHeader {
			return 0, 0, Page{}, false
		}
		inline = ParsePage(e.Value[bucketHeader:], e.Off+bucketHeader)
	}
	return root, sequence, inline, true
}

// Element returns element i, if it lies within the page.
func (p *Page) Element(i int) (e Element, ok bool) {
	head := pageHeader + i*elementSize
	if head+elementSize > len(p.data) {
		return e, false
	}
	b := p.data[head : head+elementSize]
	var pos, ksize, vsize uint64
	if p.IsBranch() {
		pos, ksize, e.Page = uint64(native.Uint32(b)), uint64(native.Uint32(b[4:])), native.Uint64(b[8:])
	} else {
		e.flags, pos = uint64(native.Uint32(b)), uint64(native.Uint32(b[4:]))
		ksize, vsize = uint64(native.Uint32(b[8:])), uint64(native.Uint32(b[12:]))
	}
	heads := uint64(pageHeader + p.Count*elementSize) //nolint:gosec // positive
	from := uint64(head) + pos                        //nolint:gosec // positive
	if from < heads || from+ksize+vsize > uint64(len(p.data)) {
		return e, false
	}
	data := p.data[from : from+ksize+vsize]
	e.Key, e.Value, e.Off = data[:ksize:ksize], data[ksize:], p.off+int64(from+ksize) //nolint:gosec // within the file
	return e, true
}

// ReadPage reads a page of a file that may be damaged, and those that it runs over into.
// It reports whether the page is what it says that it is.
func ReadPage(file io.ReaderAt, size, pageSize int64, id uint64) (Page, bool) {
	pages := uint64(size / pageSize) //nolint:gosec // a size is not negative
	if id < 2 || id >= pages {
		return Page{}, false
	}
	off := int64(id) * pageSize //nolint:gosec // within the file
	data := make([]byte, pageSize)
	if _, err := file.ReadAt(data, off); err != nil {
		return Page{}, false
	}
	p := ParsePage(data, off)
	more := uint64(p.overflow)
	if p.ID != id || id+more >= pages || (more+1)*uint64(pageSize) > maxPageBytes { //nolint:gosec // positive
		return Page{}, false
	}
	if more > 0 {
		data = make([]byte, int64(more+1)*pageSize) //nolint:gosec // at most maxPageBytes
		if _, err := file.ReadAt(data, off); err != nil && !errors.Is(err, io.EOF) {
			return Page{}, false
		}
	}
	return ParsePage(data, off), true
}

// Page reads a page, and marks it as used: a second read of it is an ErrDamaged, since
// no two pages refer to the same one. The page is valid until the buffer's next read.
func (f *File) Page(id uint64, buf *Buffer) (Page, error) {
	if id < 2 || id >= f.End {
		return Page{}, Damaged("page %d is not one of those from 2 to %d", id, f.End)
	}
	off := int64(id) * f.PageSize //nolint:gosec // within the file
	data, err := buf.Read(off, f.PageSize)
	if err != nil {
		return Page{}, err
	}
	p := ParsePage(data, off)
	more := uint64(p.overflow)
	switch {
	case p.ID != id:
		return Page{}, Damaged("page %d says that it is page %d", id, p.ID)
	case id+more >= f.End || (more+1)*uint64(f.PageSize) > maxPageBytes: //nolint:gosec // positive
		return Page{}, Damaged("page %d says that it goes on for %d more", id, more)
	}
	for n := id; n <= id+more; n++ {
		if bit := uint64(1) << (n % 64); f.used[n/64].Or(bit)&bit != 0 {
			return Page{}, Damaged("page %d is used twice", n)
		}
	}
	if more == 0 {
		return p, nil
	}
	if data, err = buf.Read(off, int64(more+1)*f.PageSize); err != nil { //nolint:gosec // at most maxPageBytes
		return Page{}, err
	}
	return ParsePage(data, off), nil
}

// A Visitor is called with the elements of leaves. What it gets is valid until it
// returns. off is the value's offset in the file.
type Visitor func(key, value []byte, off int64) error

// subtree is a page whose keys are from lo on and below hi; nil for no bound.
type subtree struct {
	id     uint64
	lo, hi []byte
	depth  int
}

// walk visits the elements of a tree, on many goroutines. Each part of the tree has a
// visit function of its own, which gets its elements in order.
func (f *File) walk(root uint64, visitor func() func(e Element) error) error {
	buf := f.Buffer()
	todo := []subtree{{id: root}}
	for len(todo) > 0 && len(todo) < leastSubtrees {
		next, err := f.step(todo[0], buf, visitor())
		if err != nil {
			return err
		}
		todo = append(todo[1:], next...)
	}
	workers := min(runtime.GOMAXPROCS(0), len(todo))
	errs := make([]error, workers)
	var running sync.WaitGroup
	var taken atomic.Int64
	for w := range workers {
		running.Go(func() {
			buf := f.Buffer()
			for i := taken.Add(1) - 1; i < int64(len(todo)) && errs[w] == nil; i = taken.Add(1) - 1 {
				errs[w] = f.descend(todo[i], buf, visitor())
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// descend visits the elements of a subtree.
func (f *File) descend(t subtree, buf *Buffer, visit func(e Element) error) error {
	below, err := f.step(t, buf, visit)
	for i := 0; i < len(below) && err == nil; i++ {
		err = f.descend(below[i], buf, visit)
	}
	return err
}

// step visits the elements of a leaf, or returns the subtrees of a branch.
func (f *File) step(t subtree, buf *Buffer, visit func(e Element) error) ([]subtree, error) {
	if t.depth > MaxDepth {
		return nil, Damaged("page %d is %d levels below its root", t.id, t.depth)
	}
	p, err := f.Page(t.id, buf)
	if err != nil {
		return nil, err
	}
	switch {
	case p.IsLeaf():
		return nil, p.leaf(t, visit)
	case !p.IsBranch() || p.Count == 0:
		return nil, Damaged("page %d is neither a branch nor a leaf", t.id)
	}
	below := make([]subtree, 0, p.Count)
	err = p.each(t, func(e Element) error {
		key := append([]byte(nil), e.Key...)
		if len(below) > 0 {
			below[len(below)-1].hi = key
		}
		below = append(below, subtree{id: e.Page, lo: key, hi: t.hi, depth: t.depth + 1})
		return nil
	})
	return below, err
}

func (p *Page) leaf(t subtree, visit func(e Element) error) error {
	return p.each(t, func(e Element) error {
		if err := visit(e); err != nil {
			return fmt.Errorf("page %d: %w", t.id, err)
		}
		return nil
	})
}

// each calls yield with the elements, whose keys must ascend between bounds.
func (p *Page) each(t subtree, yield func(e Element) error) error {
	var last []byte
	for i := range p.Count {
		e, ok := p.Element(i)
		switch {
		case !ok:
			return Damaged("page %d: element %d lies outside", t.id, i)
		case len(e.Key) == 0,
			i > 0 && string(e.Key) <= string(last),
			string(e.Key) < string(t.lo),
			t.hi != nil && string(e.Key) >= string(t.hi):
			return Damaged("page %d: the key of element %d is out of order", t.id, i)
		}
		last = e.Key
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// Buckets visits the elements of all buckets, whose values must be no buckets again,
// and checks all pages in use. visitors is called with the name and the sequence number
// of a bucket; what it returns makes a Visitor for each part of the bucket, and these
// are called at the same time.
func (f *File) Buckets(visitors func(name string, sequence uint64) (func() Visitor, error)) error {
	type bucket struct {
		root, sequence uint64
		inline         Page
	}
	found := make(map[string]bucket)
	var mu sync.Mutex
	list := func(e Element) error {
		root, sequence, inline, ok := e.Bucket()
		switch {
		case !ok:
			return Damaged("the root holds something else than buckets")
		case root == 0 && !inline.IsLeaf():
			return Damaged("a bucket within the root is no leaf")
		}
		inline.data = append([]byte(nil), inline.data...)
		mu.Lock()
		defer mu.Unlock()
		found[string(e.Key)] = bucket{root, sequence, inline}
		return nil
	}
	if err := f.walk(f.Root, func() func(e Element) error { return list }); err != nil {
		return err
	}
	for name, b := range found {
		newVisitor, err := visitors(name, b.sequence)
		if err != nil {
			return err
		}
		values := func() func(e Element) error {
			visit := newVisitor()
			return func(e Element) error {
				if e.flags != 0 {
					return Damaged("a bucket holds another one")
				}
				return visit(e.Key, e.Value, e.Off)
			}
		}
		if b.root == 0 {
			err = b.inline.leaf(subtree{id: f.Root}, values())
		} else {
			err = f.walk(b.root, values)
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return f.checkFreelist()
}

// checkFreelist checks the list of free pages, if the file has one.
func (f *File) checkFreelist() error {
	if f.freelist == noFreelist {
		return nil
	}
	p, err := f.Page(f.freelist, f.Buffer())
	if err != nil {
		return err
	}
	ids, count := p.data[pageHeader:], uint64(p.Count) //nolint:gosec // positive
	if p.Count == 0xFFFF {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if p.flags != freelistFlag || count > uint64(len(ids))/8 {
		return Damaged("its list of free pages is none")
	}
	for i := range count {
		if id := native.Uint64(ids[8*i:]); id < 2 || id >= f.End || f.isUsed(id) {
			return Damaged("page %d is listed as free", id)
		}
	}
	return nil
}
