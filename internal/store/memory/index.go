package memory

import (
	"cmp"
	"encoding/binary"
	"math"
	"sort"

	"github.com/tidwall/btree"
)

// index holds entries in an order. What mostly decides over the place of one
// stands beside it, so that finding a place does not take a look at each entry
// on the way: in a large store that would be most of what it costs.
type index struct {
	tree *btree.BTreeG[place]
	// start is the beginning of what the order goes by. It never changes while
	// an entry is in the index.
	start func(*record) uint64
}

type place struct {
	start uint64
	e     *entry
}

// newIndex returns an index in the order of compare, to which start belongs:
// where that differs, its order is the same.
func newIndex(start func(*record) uint64, compare func(a, b *record) int) index {
	less := func(a, b place) bool {
		if a.start != b.start || a.e == b.e {
			return a.start < b.start
		}
		return compare(a.e.rec.Load(), b.e.rec.Load()) < 0
	}
	return index{btree.NewBTreeGOptions(less, btree.Options{NoLocks: true}), start}
}

// newAgeIndex returns an index in the order of compareAge.
func newAgeIndex() index { return newIndex(ageOf, compareAge) }

// newUserIndex returns an index by user, with the entries of one user in the
// order of compareAge.
func newUserIndex() index {
	start := func(r *record) uint64 { return firstBytes(r.user) }
	return newIndex(start, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.user, b.user), compareAge(a, b))
	})
}

// ageOf returns a number by which records are ordered as compareAge orders them,
// as far as it goes: equal numbers leave it open. It has the time, where that is
// between 1970 and 10889 and so in 48 bits, and the start of the id, because
// sessions that are imported often share their millisecond.
func ageOf(r *record) uint64 { return startOfAge(r.created, firstBytes(r.id())) }

// startOfAge is ageOf a record of that time whose id begins with these bytes.
func startOfAge(created int64, id uint64) uint64 {
	const latest = 1<<48 - 1
	switch {
	case created > latest:
		return 0
	case created < 0:
		return math.MaxUint64
	}
	return uint64(latest-created)<<16 | id>>48
}

// firstBytes returns how a text begins, so that it compares as the text does.
func firstBytes[T string | []byte](text T) uint64 {
	var first [8]byte
	copy(first[:], text)
	return binary.BigEndian.Uint64(first[:])
}

func (x index) place(e *entry) place { return place{x.start(e.rec.Load()), e} }

func (x index) Len() int { return x.tree.Len() }

func (x index) Set(e *entry) { x.tree.Set(x.place(e)) }

func (x index) Delete(e *entry) { x.tree.Delete(x.place(e)) }

// Load is Set, and faster for an entry that comes after all others.
func (x index) Load(e *entry) { x.tree.Load(x.place(e)) }

// Ascend calls yield with the entries from pivot on, until it returns false.
func (x index) Ascend(pivot *entry, yield func(*entry) bool) {
	x.tree.Ascend(x.place(pivot), func(p place) bool { return yield(p.e) })
}

// Descend is Ascend in the reverse order.
func (x index) Descend(pivot *entry, yield func(*entry) bool) {
	x.tree.Descend(x.place(pivot), func(p place) bool { return yield(p.e) })
}

// before reports whether the entry a comes before b.
func (x index) before(a, b *entry) bool { return x.tree.Less(x.place(a), x.place(b)) }

// rank returns how many entries come before pivot.
func (x index) rank(pivot *entry) int {
	return sort.Search(x.Len(), func(i int) bool { return !x.before(x.at(i), pivot) })
}

// at returns the i-th entry.
func (x index) at(i int) *entry {
	p, _ := x.tree.GetAt(i)
	return p.e
}
