package memory

import "session-api/internal/store/backend"

// hashTable finds entries by key: a hash table with linear probing. It is here
// because it takes half the memory of a map, which would have to hold the keys
// or their full hashes: this one holds 32 bits of each hash to tell entries
// apart, and the entry's own document has the key.
type hashTable struct {
	tags    []uint32 // 0 marks a free place
	entries []*entry
	n       int
}

// tag is the part of a key's hash that the table keeps. The shard has used up
// other bits of it.
func tag(hash uint64) uint32 { return uint32(hash) | 1 } //nolint:gosec // cut off on purpose

// home is where an entry of the tag stands if nothing is in its way. Tags are
// spread over any number of places, so that a table need not grow twofold.
func (t *hashTable) home(tag uint32) int { return int(uint64(tag) * uint64(len(t.tags)) >> 32) }

func (t *hashTable) next(i int) int {
	if i++; i < len(t.tags) {
		return i
	}
	return 0
}

// find returns the entry of the key, nil where there is none.
func (t *hashTable) find(hash uint64, key backend.Key) *entry {
	if t.n == 0 {
		return nil
	}
	want := tag(hash)
	for i := t.home(want); t.tags[i] != 0; i = t.next(i) {
		if t.tags[i] == want && t.entries[i].rec.Load().is(key) {
			return t.entries[i]
		}
	}
	return nil
}

// put adds an entry whose key is not in the table.
func (t *hashTable) put(hash uint64, e *entry) {
	if t.n+1 > len(t.tags)/5*4 {
		t.resize(t.n*5/4*5/4 + 10)
	}
	t.place(tag(hash), e)
	t.n++
}

// place puts an entry into the first free place from its home on.
func (t *hashTable) place(tag uint32, e *entry) {
	i := t.home(tag)
	for t.tags[i] != 0 {
		i = t.next(i)
	}
	t.tags[i], t.entries[i] = tag, e
}

// drop removes e. It closes the gap, so that no search ends there too early:
// an entry behind it moves up unless its home lies between.
func (t *hashTable) drop(hash uint64, e *entry) {
	own := tag(hash)
	gap := t.home(own)
	for t.tags[gap] != own || t.entries[gap] != e {
		gap = t.next(gap)
	}
	for i := t.next(gap); t.tags[i] != 0; i = t.next(i) {
		if t.between(gap, t.home(t.tags[i]), i) {
			continue
		}
		t.tags[gap], t.entries[gap] = t.tags[i], t.entries[i]
		gap = i
	}
	t.tags[gap], t.entries[gap] = 0, nil
	t.n--
	if len(t.tags) > 64 && t.n < len(t.tags)/4 {
		t.resize(t.n * 2)
	}
}

// between reports whether home lies after gap and not after i, going round.
func (t *hashTable) between(gap, home, i int) bool {
	if gap <= i {
		return gap < home && home <= i
	}
	return gap < home || home <= i
}

// resize moves the entries to a table of that many places.
func (t *hashTable) resize(places int) {
	old := *t
	t.tags, t.entries = make([]uint32, places), make([]*entry, places)
	for i, tag := range old.tags {
		if tag != 0 {
			t.place(tag, old.entries[i])
		}
	}
}
