package memory

import (
	"cmp"
	"encoding/binary"
	"math"

	"github.com/tidwall/btree"
)

// What stands in the indexes of a namespace has beside it what mostly decides
// over its place, so that finding a place does not take a look at each entry on
// the way: in a large store that would be most of what it costs.

// ageIndex holds entries in the order of compareAge.
type ageIndex struct{ tree *btree.BTreeG[agePlace] }

type agePlace struct {
	age uint64 // as ageOf has it
	e   *entry
}

func newAgeIndex() ageIndex {
	less := func(a, b agePlace) bool {
		if a.age != b.age || a.e == b.e {
			return a.age < b.age
		}
		return compareAge(a.e.rec.Load(), b.e.rec.Load()) < 0
	}
	return ageIndex{btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})}
}

func (x ageIndex) place(e *entry) agePlace { return agePlace{ageOf(e.rec.Load()), e} }

// ageOf returns a number by which records are ordered as compareAge orders them,
// as far as it goes: equal numbers leave it open. It has the time, where that is
// between 1970 and 10889 and so in 48 bits, and the start of the id, because
// sessions that are imported often share their millisecond.
func ageOf(r *record) uint64 {
	const latest = 1<<48 - 1
	switch {
	case r.created > latest:
		return 0
	case r.created < 0:
		return math.MaxUint64
	}
	var head [2]byte
	copy(head[:], r.id())
	return uint64(latest-r.created)<<16 | uint64(binary.BigEndian.Uint16(head[:]))
}

func (x ageIndex) Len() int { return x.tree.Len() }

func (x ageIndex) Set(e *entry) { x.tree.Set(x.place(e)) }

func (x ageIndex) Delete(e *entry) { x.tree.Delete(x.place(e)) }

// Load is Set, and faster for an entry that comes after all others.
func (x ageIndex) Load(e *entry) { x.tree.Load(x.place(e)) }

// Ascend calls yield with the entries from pivot on, until it returns false.
func (x ageIndex) Ascend(pivot *entry, yield func(*entry) bool) {
	x.tree.Ascend(x.place(pivot), func(p agePlace) bool { return yield(p.e) })
}

// userIndex holds entries by user, those of one user in the order of compareAge.
type userIndex struct{ tree *btree.BTreeG[userPlace] }

type userPlace struct {
	start uint64 // of the user's name, so that it compares as that does
	e     *entry
}

func newUserIndex() userIndex {
	less := func(a, b userPlace) bool {
		if a.start != b.start || a.e == b.e {
			return a.start < b.start
		}
		ra, rb := a.e.rec.Load(), b.e.rec.Load()
		return cmp.Or(cmp.Compare(ra.user, rb.user), compareAge(ra, rb)) < 0
	}
	return userIndex{btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})}
}

func (x userIndex) place(e *entry) userPlace {
	var start [8]byte
	copy(start[:], e.rec.Load().user)
	return userPlace{binary.BigEndian.Uint64(start[:]), e}
}

func (x userIndex) Len() int { return x.tree.Len() }

func (x userIndex) Set(e *entry) { x.tree.Set(x.place(e)) }

func (x userIndex) Delete(e *entry) { x.tree.Delete(x.place(e)) }

// Load is Set, and faster for an entry that comes after all others.
func (x userIndex) Load(e *entry) { x.tree.Load(x.place(e)) }

// Ascend calls yield with the entries from pivot on, until it returns false.
func (x userIndex) Ascend(pivot *entry, yield func(*entry) bool) {
	x.tree.Ascend(x.place(pivot), func(p userPlace) bool { return yield(p.e) })
}

// at returns the i-th entry.
func (x userIndex) at(i int) *entry {
	p, _ := x.tree.GetAt(i)
	return p.e
}
