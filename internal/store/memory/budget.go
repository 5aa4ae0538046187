package memory

import (
	"errors"
	"sync"

	"session-api/internal/store"
)

// errNoRoom: the budget is used up, for now.
var errNoRoom = errors.New("no room")

// budget counts what is stored, and never lets it exceed the limits.
type budget struct {
	maxEntries, maxBytes int64 // 0 for none

	mu      sync.Mutex
	entries int64
	bytes   int64
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
	case grows && bytes > b.maxBytes, b.maxEntries > 0 && n > 0 && entries > b.maxEntries:
		return errNoRoom
	}
	b.entries, b.bytes = entries, bytes
	return nil
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
