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
