package datafile

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

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
