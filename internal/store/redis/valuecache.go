package redis

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// valueCache holds values that were read lately, decoded. Most reads find the value
// as the last one of the session did, and need not decode it again, which is more
// work than all else that a read from the client cache takes. The whole value is
// compared, which takes no time where the client cache returns the same bytes.
type valueCache struct {
	seed maphash.Seed
	sets [valueSets]valueSet
}

// valueSet has the last values of some keys whose hashes end alike: of the keys
// added last. Large values are not kept: all of them take 40 MB at most.
type valueSet struct {
	values [valueWays]atomic.Pointer[cachedValue]
	next   atomic.Uint32
}

const (
	valueSets      = 1024
	valueWays      = 4
	maxCachedValue = 4 << 10
)

// cachedValue is a value and what it says, never changed.
type cachedValue struct {
	value string
	st    format.Value
	// deadline is what the session's was when the value was last seen, in ms: the
	// present one or an earlier one, unless the value is another by now.
	deadline atomic.Int64
	// steady: the server has been seen to have the value still, so that it is likely to
	// have it now. It is not likely where instances take turns in changing a session.
	steady atomic.Bool
}

func newValueCache() *valueCache { return &valueCache{seed: maphash.MakeSeed()} }

func (k *valueCache) set(key backend.Key) *valueSet {
	return &k.sets[maphash.Comparable(k.seed, key)%valueSets]
}

// last returns the value that a key was last seen to have; nil if that is not kept.
func (k *valueCache) last(key backend.Key) *cachedValue {
	set := k.set(key)
	for i := range set.values {
		if r := set.values[i].Load(); r != nil && r.st.Session.Key() == key {
			return r
		}
	}
	return nil
}

// get returns what the cache has of a value that a key has; nil for nothing.
func (k *valueCache) get(key backend.Key, value string) *cachedValue {
	r := k.last(key)
	if r == nil || r.value != value {
		return nil
	}
	if !r.steady.Load() {
		r.steady.Store(true)
	}
	return r
}

// forget forgets the value of a key, which this instance has replaced by one that it
// does not know.
func (k *valueCache) forget(key backend.Key) {
	set := k.set(key)
	for i := range set.values {
		if r := set.values[i].Load(); r != nil && r.st.Session.Key() == key {
			set.values[i].CompareAndSwap(r, nil)
		}
	}
}

// put adds what the value of a key decodes to, and returns it; nil if it is too large.
func (k *valueCache) put(key backend.Key, value string, st *format.Value) *cachedValue {
	if len(value) > maxCachedValue || len(st.Session.Doc) > maxCachedValue {
		return nil
	}
	r := &cachedValue{value: value, st: *st}
	set := k.set(key)
	for i := range set.values {
		if old := set.values[i].Load(); old != nil && old.st.Session.Key() == key {
			r.st.Session.Namespace, r.st.Session.ID = old.st.Session.Namespace, old.st.Session.ID
			set.values[i].Store(r)
			return r
		}
	}
	// Copies: the key may be a part of all that a request says.
	r.st.Session.Namespace, r.st.Session.ID = strings.Clone(key.Namespace), strings.Clone(key.ID)
	set.values[set.next.Add(1)%valueWays].Store(r)
	return r
}
