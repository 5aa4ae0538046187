package memory

import (
	"errors"
	"sync"

	"session-api/internal/store"
)

// errNoRoom: the budget is used up, for now.
var errNoRoom = errors.New("no room")

// budget counts what is stored, and never lets it grow beyond the limits.
//
// A store that was filled with more than its limits allow, because they were
// higher once, keeps that. Where it may evict, it comes down to them at the pace
// of what is new: whatever is added has to find room for twice as much.
type budget struct {
	maxEntries, maxBytes int64 // 0 for none
	evicts               bool

	mu      sync.Mutex
	entries int64
	bytes   int64
	// overEntries and overBytes are how much there was when something was last
	// added, as long as that is beyond the limits; 0 where it is not.
	overEntries, overBytes int64
}

// take adds n entries, and replaces old bytes by more or fewer. It fails with
// errNoRoom, or with store.ErrFull if no eviction could ever make it fit.
func (b *budget) take(n, oldBytes, newBytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries, bytes := b.entries+n, b.bytes-oldBytes+newBytes
	grows := b.maxBytes > 0 && newBytes > oldBytes
	switch {
	case grows && newBytes > b.maxBytes:
		return store.ErrFull
	case grows && bytes > max(b.maxBytes, b.overBytes-(newBytes-oldBytes)),
		b.maxEntries > 0 && n > 0 && entries > max(b.maxEntries, b.overEntries-n):
		return errNoRoom
	}
	b.entries, b.bytes = entries, bytes
	if n > 0 {
		b.overEntries = beyond(b.maxEntries, min(b.overEntries, entries))
	}
	if grows {
		b.overBytes = beyond(b.maxBytes, min(b.overBytes, bytes))
	}
	return nil
}

// beyond returns n where it is beyond the limit, and 0 otherwise.
func beyond(limit, n int64) int64 {
	if n <= limit {
		return 0
	}
	return n
}

// fill adds entries whatever the limits are.
func (b *budget) fill(n, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries += n
	b.bytes += bytes
	if !b.evicts {
		return
	}
	if b.maxEntries > 0 {
		b.overEntries = beyond(b.maxEntries, b.entries)
	}
	if b.maxBytes > 0 {
		b.overBytes = beyond(b.maxBytes, b.bytes)
	}
}

// give returns what an entry took.
func (b *budget) give(n, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries -= n
	b.bytes -= bytes
}

func (b *budget) taken() (entries, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries, b.bytes
}

// exceeded reports whether entries and bytes are beyond the limits.
func (b *budget) exceeded(entries, bytes int64) bool {
	return b.maxEntries > 0 && entries > b.maxEntries || b.maxBytes > 0 && bytes > b.maxBytes
}
