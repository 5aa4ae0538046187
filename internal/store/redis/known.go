package redis

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// known are values that were read lately, with what they say. Most reads find
// the value as the last one of the session did, and need not take it apart
// again, which is more work than all else that a read from the cache takes. That
// the value is the same is not guessed: all of it is compared, which takes no
// time at all where the cache has handed out the very same bytes.
type known struct {
	seed maphash.Seed
	sets [knownSets]knownSet
}

// knownSet has the last values of some keys whose hashes end alike: of those that
// came in last. Larger values are not kept: all of them take 40 MB at most.
type knownSet struct {
	readings [knownWays]atomic.Pointer[reading]
	next     atomic.Uint32
}

const (
	knownSets    = 1024
	knownWays    = 4
	knownLargest = 4 << 10
)

// reading is a value and what it says, never changed.
type reading struct {
	value string
	st    format.Value
}

func newKnown() *known { return &known{seed: maphash.MakeSeed()} }

func (k *known) set(key backend.Key) *knownSet {
	return &k.sets[maphash.Comparable(k.seed, key)%knownSets]
}

// find reads the value of a key into st, and reports whether it is known.
func (k *known) find(key backend.Key, value string, st *format.Value) bool {
	set := k.set(key)
	for i := range set.readings {
		if r := set.readings[i].Load(); r != nil && r.value == value && r.st.Session.Key() == key {
			*st = r.st
			return true
		}
	}
	return false
}

// add makes known what the value of a key says.
func (k *known) add(key backend.Key, value string, st *format.Value) {
	if len(value) > knownLargest || len(st.Session.Doc) > knownLargest {
		return
	}
	r := &reading{value: value, st: *st}
	set := k.set(key)
	for i := range set.readings {
		if old := set.readings[i].Load(); old != nil && old.st.Session.Key() == key {
			r.st.Session.Namespace, r.st.Session.ID = old.st.Session.Namespace, old.st.Session.ID
			set.readings[i].Store(r)
			return
		}
	}
	// Copies: the key may be a part of all that a request says.
	r.st.Session.Namespace, r.st.Session.ID = strings.Clone(key.Namespace), strings.Clone(key.ID)
	set.readings[set.next.Add(1)%knownWays].Store(r)
}
