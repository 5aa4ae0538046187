package bolt

import (
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// tombs are the keys that must have no session for a while, as the file has
// them. The store in memory decides by its own, of which it keeps hashes; these
// are here to write the file anew.
type tombs struct {
	until map[backend.Key]tomb
	// ended and lapsed have them as they came, among them some that were lifted or
	// have come again since.
	ended, lapsed []buriedKey
	limit         int // of each
	bytes         int64
}

type buriedKey struct {
	key backend.Key
	tomb
}

// How many tombstones of a kind there are at most, as in memory.
const (
	minTombs       = 100_000
	tombsPerEntry  = 4
	tombsUnlimited = 1_000_000
)

func newTombs(maxEntries int) *tombs {
	limit := max(minTombs, tombsPerEntry*maxEntries)
	if maxEntries == 0 {
		limit = tombsUnlimited
	}
	return &tombs{until: make(map[backend.Key]tomb), limit: limit}
}

func (t *tombs) of(key backend.Key) tomb { return t.until[key] }

// set notes what is known of the key: 0 for nothing.
func (t *tombs) set(key backend.Key, until tomb) {
	if until == 0 {
		t.lift(key)
		return
	}
	was, ok := t.until[key]
	if was == until {
		return
	}
	if !ok {
		key.ID = strings.Clone(key.ID) // which is often a part of a document
		if key.Namespace == schema.DefaultNamespace {
			key.Namespace = schema.DefaultNamespace
		} else {
			key.Namespace = strings.Clone(key.Namespace)
		}
		t.bytes += tombBytes(key)
	}
	t.until[key] = until
	queue := t.queue(until)
	*queue = append(*queue, buriedKey{key, until})
	for len(*queue) > t.limit {
		t.drop(queue)
	}
}

func (t *tombs) queue(until tomb) *[]buriedKey {
	if until < 0 {
		return &t.lapsed
	}
	return &t.ended
}

func (t *tombs) lift(key backend.Key) {
	if _, ok := t.until[key]; ok {
		delete(t.until, key)
		t.bytes -= tombBytes(key)
	}
}

// sweep forgets those whose time is over at now, as far as none that came before
// them has time left.
func (t *tombs) sweep(now int64) {
	for _, queue := range []*[]buriedKey{&t.ended, &t.lapsed} {
		for len(*queue) > 0 && (*queue)[0].until() <= now {
			t.drop(queue)
		}
	}
}

func (t *tombs) drop(queue *[]buriedKey) {
	first := (*queue)[0]
	if t.until[first.key] == first.tomb {
		t.lift(first.key)
	}
	if *queue = (*queue)[1:]; len(*queue) == 0 {
		*queue = nil
	}
}

// keys returns all of them.
func (t *tombs) keys() []backend.Key {
	keys := make([]backend.Key, 0, len(t.until))
	for key := range t.until {
		keys = append(keys, key)
	}
	return keys
}

// tombBytes is what the entry of a tombstone takes.
func tombBytes(key backend.Key) int64 {
	const rest = 14 // format, kind, two lengths, a time and the sum
	return int64(len(key.Namespace)) + int64(len(key.ID)) + rest + entryBytes
}
