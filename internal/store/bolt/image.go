package bolt

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

// ErrDamaged: the data file is not as it was written.
var ErrDamaged = errors.New("the data file is damaged")

// What is here reads a bbolt file without bbolt, which trusts what it reads: a
// wrong number on a page makes it look outside its memory map, and no recover
// helps against that. Here every number is checked before it is used, so that
// bbolt gets to see only files that it can read.

// Numbers on pages are in the machine's own order.
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

	metaMagic     = 0xED0CDAED
	metaVersion   = 2
	metaSize      = 56 // less the sum
	bucketHeader  = 16 // root 8, sequence 8
	noFreelist    = 1<<64 - 1
	maxDepth      = 32
	maxPageBytes  = 1 << 30 // four of the largest documents are less
	minPageSize   = 1 << 10
	maxPageSize   = 1 << 24
	leastSubtrees = 64
)

// image is a data file, read page by page.
type image struct {
	file     io.ReaderAt
	pageSize int64
	root     uint64
	freelist uint64
	tally    tally // of the log
	// end is the number of the first page that was never used.
	end uint64
	// txid is the number of the last transaction, sum that of the head it wrote.
	txid, sum uint64
	// claimed has a bit for each page that something leads to.
	claimed []atomic.Uint64
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// openImage finds the valid one of a file's two heads, or the later of them.
func openImage(file io.ReaderAt, size int64) (*image, error) {
	var best *image
	for at := int64(0); at <= maxPageSize && at < size; {
		im, err := readHead(file, at)
		if err != nil {
			return nil, err
		}
		if im != nil && (at == 0 || at == im.pageSize) && (best == nil || im.txid > best.txid) {
			best = im
		}
		switch {
		case im != nil && at == 0:
			at = im.pageSize
		case best != nil && at >= best.pageSize:
			at = size
		case at == 0:
			at = minPageSize
		default:
			at *= 2 // the first is lost: the second is where the second page starts
		}
	}
	switch {
	case best == nil:
		return nil, damaged("neither of its two heads is valid")
	case best.end > uint64(size/best.pageSize): //nolint:gosec // a size is not negative
		return nil, damaged("it ends at byte %d, and should have %d pages of %d bytes at least", size, best.end, best.pageSize)
	}
	best.claimed = make([]atomic.Uint64, best.end/64+1)
	return best, nil
}

// readHead returns what the head at the offset says, nil if it is not valid.
func readHead(file io.ReaderAt, at int64) (*image, error) {
	var b [pageHeader + metaSize + 8]byte
	if _, err := file.ReadAt(b[:], at); errors.Is(err, io.EOF) {
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
	im := &image{
		file: file, pageSize: int64(native.Uint32(meta[8:])),
		root: native.Uint64(meta[16:]), freelist: native.Uint64(meta[32:]), end: native.Uint64(meta[40:]),
		txid: native.Uint64(meta[48:]), sum: sum.Sum64(),
	}
	if native.Uint16(b[8:]) != metaFlag || im.pageSize < minPageSize || im.pageSize > maxPageSize {
		return nil, nil
	}
	return im, nil
}

// page is one page with those that it runs over into.
type page struct {
	flags uint16
	count int
	data  []byte
	off   int64 // of data in the file
}

// parsePage reads the head of a page's bytes.
func parsePage(data []byte, off int64) (p page, id uint64, overflow uint32) {
	p = page{flags: native.Uint16(data[8:]), count: int(native.Uint16(data[10:])), data: data, off: off}
	return p, native.Uint64(data), native.Uint32(data[12:])
}

// window returns one to read pages through.
func (im *image) window() *window {
	return &window{file: im.file, size: int64(im.end) * im.pageSize} //nolint:gosec // within the file
}

// read reads the page and claims it. The page is good until the next one is
// read.
func (im *image) read(id uint64, w *window) (page, error) {
	if id < 2 || id >= im.end {
		return page{}, damaged("page %d is not one of those from 2 to %d", id, im.end)
	}
	off := int64(id) * im.pageSize //nolint:gosec // within the file
	data, err := w.read(off, im.pageSize)
	if err != nil {
		return page{}, err
	}
	_, self, overflow := parsePage(data, off)
	more := uint64(overflow)
	switch {
	case self != id:
		return page{}, damaged("page %d says that it is page %d", id, self)
	case id+more >= im.end || (more+1)*uint64(im.pageSize) > maxPageBytes: //nolint:gosec // positive
		return page{}, damaged("page %d says that it goes on for %d more", id, more)
	}
	for n := id; n <= id+more; n++ {
		if bit := uint64(1) << (n % 64); im.claimed[n/64].Or(bit)&bit != 0 {
			return page{}, damaged("page %d is used twice", n)
		}
	}
	if more > 0 {
		size := int64(more+1) * im.pageSize //nolint:gosec // at most maxPageBytes
		if data, err = w.read(off, size); err != nil {
			return page{}, err
		}
	}
	p, _, _ := parsePage(data, off)
	return p, nil
}

// used returns how many pages are claimed, the two heads included.
func (im *image) used() uint64 {
	n := uint64(2)
	for id := uint64(2); id < im.end; id++ {
		if im.claimed[id/64].Load()&(1<<(id%64)) != 0 {
			n++
		}
	}
	return n
}

// element returns the bytes of element i: its key, and in a leaf its value.
// number is a branch's page, or a leaf's flags.
func (p *page) element(i int) (number uint64, key, value []byte, at int64, ok bool) {
	head := pageHeader + i*elementSize
	if head+elementSize > len(p.data) {
		return 0, nil, nil, 0, false
	}
	b := p.data[head : head+elementSize]
	var pos, ksize, vsize uint64
	if p.flags == branchFlag {
		pos, ksize, number = uint64(native.Uint32(b)), uint64(native.Uint32(b[4:])), native.Uint64(b[8:])
	} else {
		number, pos = uint64(native.Uint32(b)), uint64(native.Uint32(b[4:]))
		ksize, vsize = uint64(native.Uint32(b[8:])), uint64(native.Uint32(b[12:]))
	}
	heads := uint64(pageHeader + p.count*elementSize) //nolint:gosec // positive
	from := uint64(head) + pos                        //nolint:gosec // positive
	if from < heads || from+ksize+vsize > uint64(len(p.data)) {
		return 0, nil, nil, 0, false
	}
	data := p.data[from : from+ksize+vsize]
	return number, data[:ksize:ksize], data[ksize:], p.off + int64(from+ksize), true //nolint:gosec // within the file
}

// visit is called with the elements of leaves. at is the value's place in the
// file. What it gets is good until it returns.
type visit func(key, value []byte, at int64, flags uint64) error

// subtree is a page whose keys are from lo on and below hi; nil for no bound.
type subtree struct {
	id     uint64
	lo, hi []byte
	depth  int
}

// walk visits the elements of a bucket, on many goroutines at once. Each part of
// the bucket has its own visit, which gets its elements in order.
func (im *image) walk(root uint64, visitor func() visit) error {
	window := im.window()
	todo := []subtree{{id: root}}
	for len(todo) > 0 && len(todo) < leastSubtrees {
		next, err := im.step(todo[0], window, visitor())
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
			window := im.window()
			for i := taken.Add(1) - 1; i < int64(len(todo)) && errs[w] == nil; i = taken.Add(1) - 1 {
				errs[w] = im.descend(todo[i], window, visitor())
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// descend visits the elements of a subtree.
func (im *image) descend(t subtree, w *window, visit visit) error {
	below, err := im.step(t, w, visit)
	for i := 0; i < len(below) && err == nil; i++ {
		err = im.descend(below[i], w, visit)
	}
	return err
}

// step visits the elements of a leaf, or returns the subtrees of a branch.
func (im *image) step(t subtree, w *window, visit visit) ([]subtree, error) {
	if t.depth > maxDepth {
		return nil, damaged("page %d is %d levels below its root", t.id, t.depth)
	}
	p, err := im.read(t.id, w)
	if err != nil {
		return nil, err
	}
	switch {
	case p.flags == leafFlag:
		return nil, p.leaf(t, visit)
	case p.flags != branchFlag || p.count == 0:
		return nil, damaged("page %d is neither a branch nor a leaf", t.id)
	}
	below := make([]subtree, 0, p.count)
	err = p.each(t, func(number uint64, key, _ []byte, _ int64) error {
		key = append([]byte(nil), key...)
		if len(below) > 0 {
			below[len(below)-1].hi = key
		}
		below = append(below, subtree{id: number, lo: key, hi: t.hi, depth: t.depth + 1})
		return nil
	})
	return below, err
}

func (p *page) leaf(t subtree, visit visit) error {
	return p.each(t, func(flags uint64, key, value []byte, at int64) error {
		if err := visit(key, value, at, flags); err != nil {
			return fmt.Errorf("page %d: %w", t.id, err)
		}
		return nil
	})
}

// each calls yield with the elements, whose keys must ascend between bounds.
func (p *page) each(t subtree, yield func(number uint64, key, value []byte, at int64) error) error {
	var last []byte
	for i := range p.count {
		number, key, value, at, ok := p.element(i)
		switch {
		case !ok:
			return damaged("page %d: element %d lies outside", t.id, i)
		case len(key) == 0,
			i > 0 && string(key) <= string(last),
			string(key) < string(t.lo),
			t.hi != nil && string(key) >= string(t.hi):
			return damaged("page %d: the key of element %d is out of order", t.id, i)
		}
		last = key
		if err := yield(number, key, value, at); err != nil {
			return err
		}
	}
	return nil
}

// buckets walks the root, whose elements are all buckets, and then each of
// them. visitor returns the visit of a bucket's elements.
func (im *image) buckets(visitor func(name string) (func() visit, error)) error {
	type bucket struct {
		root   uint64
		inline page
	}
	found := make(map[string]bucket)
	var mu sync.Mutex
	root := func(key, value []byte, at int64, flags uint64) error {
		if flags != bucketFlag || len(value) < bucketHeader {
			return damaged("the root holds something else than buckets")
		}
		b := bucket{root: native.Uint64(value)}
		if string(key) == logBucket {
			im.tally = tally(native.Uint64(value[8:]))
		}
		if b.root == 0 {
			data := append([]byte(nil), value[bucketHeader:]...)
			if len(data) < pageHeader {
				return damaged("a bucket within the root is too short")
			}
			if b.inline, _, _ = parsePage(data, at+bucketHeader); b.inline.flags != leafFlag {
				return damaged("a bucket within the root is no leaf")
			}
		}
		mu.Lock()
		defer mu.Unlock()
		found[string(key)] = b
		return nil
	}
	if err := im.walk(im.root, func() visit { return root }); err != nil {
		return err
	}
	for name, b := range found {
		visitor, err := visitor(name)
		if err != nil {
			return err
		}
		if b.root == 0 {
			err = b.inline.leaf(subtree{id: im.root}, visitor())
		} else {
			err = im.walk(b.root, visitor)
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return im.checkFreelist()
}

// checkFreelist checks the list of free pages, which only a file has that
// something else has written.
func (im *image) checkFreelist() error {
	if im.freelist == noFreelist {
		return nil
	}
	p, err := im.read(im.freelist, im.window())
	if err != nil {
		return err
	}
	ids, count := p.data[pageHeader:], uint64(p.count) //nolint:gosec // positive
	if p.count == 0xFFFF {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if p.flags != freelistFlag || count > uint64(len(ids))/8 {
		return damaged("its list of free pages is none")
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= im.end || im.claimed[id/64].Load()&(1<<(id%64)) != 0 {
			return damaged("page %d is listed as free", id)
		}
	}
	return nil
}
