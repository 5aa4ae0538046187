package bolt

import (
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// tombstones are the keys that must have no session for a while, as the file has
// them. The store in memory decides by its own, of which it keeps hashes; these
// are here to write the file anew.
type tombstones struct {
	until map[backend.Key]tombstone
	// ended and lapsed have them as they came, among them some that were lifted or
	// have come again since.
	ended, lapsed []tombstoneKey
	limit         int // of each
	bytes         int64
}

type tombstoneKey struct {
	key backend.Key
	tombstone
}

// How many tombstones of a kind there are at most, as in memory.
const (
	minTombstones       = 100_000
	tombstonesPerEntry  = 4
	tombstonesUnlimited = 1_000_000
)

func newTombstones(maxEntries int) *tombstones {
	limit := max(minTombstones, tombstonesPerEntry*maxEntries)
	if maxEntries == 0 {
		limit = tombstonesUnlimited
	}
	return &tombstones{until: make(map[backend.Key]tombstone), limit: limit}
}

func (t *tombstones) of(key backend.Key) tombstone { return t.until[key] }

// set notes what is known of the key: 0 for nothing.
func (t *tombstones) set(key backend.Key, until tombstone) {
	if until == 0 {
		t.clear(key)
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
		t.bytes += tombstoneBytes(key)
	}
	t.until[key] = until
	queue := t.queue(until)
	*queue = append(*queue, tombstoneKey{key, until})
	for len(*queue) > t.limit {
		t.drop(queue)
	}
}

func (t *tombstones) queue(until tombstone) *[]tombstoneKey {
	if until < 0 {
		return &t.lapsed
	}
	return &t.ended
}

func (t *tombstones) clear(key backend.Key) {
	if _, ok := t.until[key]; ok {
		delete(t.until, key)
		t.bytes -= tombstoneBytes(key)
	}
}

// sweep forgets those whose time is over at now, as far as none that came before
// them has time left.
func (t *tombstones) sweep(now int64) {
	for _, queue := range []*[]tombstoneKey{&t.ended, &t.lapsed} {
		for len(*queue) > 0 && (*queue)[0].until() <= now {
			t.drop(queue)
		}
	}
}

func (t *tombstones) drop(queue *[]tombstoneKey) {
	first := (*queue)[0]
	if t.until[first.key] == first.tombstone {
		t.clear(first.key)
	}
	if *queue = (*queue)[1:]; len(*queue) == 0 {
		*queue = nil
	}
}

// keys returns all of them.
func (t *tombstones) keys() []backend.Key {
	keys := make([]backend.Key, 0, len(t.until))
	for key := range t.until {
		keys = append(keys, key)
	}
	return keys
}

// tombstoneBytes is what the entry of a tombstone takes.
func tombstoneBytes(key backend.Key) int64 {
	const rest = 14 // format, kind, two lengths, a time and the sum
	return int64(len(key.Namespace)) + int64(len(key.ID)) + rest + entryBytes
}
