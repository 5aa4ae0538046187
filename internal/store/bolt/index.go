package bolt

import (
	"hash/maphash"

	"session-api/internal/store/backend"
)

// index knows the last entry of each key in the log: of those that say that
// there is a session, or that there is none and must be none for a while. It
// holds 64 bits of a hash in place of a key, with a seed that nobody knows: of
// a million keys, two have the same one in thirty million runs, and then one of
// them may be missing after a restart.
type index struct {
	seed maphash.Seed
	// last has a map for each part of the hashes, so that several goroutines
	// can fill it.
	last [indexParts]map[uint64]position
}

// indexParts is how many parts an index has.
const indexParts = 8

// position is an entry's number times two, plus one where it is a session's.
type position uint64

const noPosition = position(0)

func at(number uint64, live bool) position {
	p := position(number << 1)
	if live {
		p++
	}
	return p
}

func (p position) number() uint64 { return uint64(p >> 1) }
func (p position) live() bool     { return p&1 != 0 }

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range x.last {
		x.last[i] = make(map[uint64]position)
	}
	return x
}

func (x *index) hash(key backend.Key) uint64 { return maphash.Comparable(x.seed, key) }

// part is the number of the part that a hash belongs to.
func part(hash uint64) int { return int(hash % indexParts) }

func (x *index) of(key backend.Key) position {
	hash := x.hash(key)
	return x.last[part(hash)][hash]
}

// set notes the last entry of the key; noPosition for none.
func (x *index) set(key backend.Key, p position) {
	hash := x.hash(key)
	if last := x.last[part(hash)]; p == noPosition {
		delete(last, hash)
	} else {
		last[hash] = p
	}
}
