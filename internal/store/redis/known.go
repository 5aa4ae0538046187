package redis

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"session-api/internal/store"
)

// known are values that were read lately, with what they say. Most reads find
// the value as the last one of the session did, and need not take it apart
// again, which is more work than all else that a read from the cache takes. That
// the value is the same is not guessed: all of it is compared, which takes no
// time at all where the cache has handed out the very same bytes.
type known struct {
	seed   maphash.Seed
	places [knownPlaces]atomic.Pointer[reading]
}

// A place is that of the last session read whose key has its hash. Larger values
// are not kept: all places take 40 MB at most.
const (
	knownPlaces  = 4096
	knownLargest = 4 << 10
)

// reading is a value and what it says, never changed.
type reading struct {
	value string
	st    stored
}

func newKnown() *known { return &known{seed: maphash.MakeSeed()} }

func (k *known) place(key store.Key) *atomic.Pointer[reading] {
	return &k.places[maphash.Comparable(k.seed, key)%knownPlaces]
}

// find reads the value of a key into st, and reports whether it is known.
func (k *known) find(key store.Key, value string, st *stored) bool {
	r := k.place(key).Load()
	if r == nil || r.value != value || r.st.sess.Key() != key {
		return false
	}
	*st = r.st
	return true
}

// add makes known what the value of a key says.
func (k *known) add(key store.Key, value string, st *stored) {
	if len(value) > knownLargest || len(st.sess.Doc) > knownLargest {
		return
	}
	r := &reading{value: value, st: *st}
	// Copies: the key may be a part of all that a request says.
	r.st.sess.Namespace, r.st.sess.ID = strings.Clone(key.Namespace), strings.Clone(key.ID)
	k.place(key).Store(r)
}
