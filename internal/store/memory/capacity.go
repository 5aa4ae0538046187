package memory

import (
	"errors"
	"sync"

	"session-api/internal/store/backend"
)

// errFull: the capacity is used up, for now. errReserved: what guests may take of it
// is. errGuestTooLarge: it would be by this guest alone.
var (
	errFull          = errors.New("no room")
	errReserved      = errors.New("no room without the reserve")
	errGuestTooLarge = errors.New("never any room without the reserve")
)

// amount is a number of entries, and the bytes that they take.
type amount struct{ entries, bytes int64 }

func (a amount) plus(b amount) amount  { return amount{a.entries + b.entries, a.bytes + b.bytes} }
func (a amount) minus(b amount) amount { return amount{a.entries - b.entries, a.bytes - b.bytes} }

// exceeds reports whether a is over a limit, in what it has more of than before.
// A limit of 0 is none.
func (a amount) exceeds(limit, before amount) bool {
	return limit.entries > 0 && a.entries > limit.entries && a.entries > before.entries ||
		limit.bytes > 0 && a.bytes > limit.bytes && a.bytes > before.bytes
}

// usage is what an entry takes, or is to take.
type usage struct {
	amount
	guest bool
}

// none is what an entry takes that there is not.
var none usage

func (h usage) guests() amount {
	if h.guest {
		return h.amount
	}
	return amount{}
}

// usage is what an entry with the record takes.
func (r *record) usage() usage { return usage{amount{1, r.cost()}, r.guest()} }

// capacity counts what is stored, and never lets it grow beyond the limits.
//
// A store that was filled with more than its limits allow, because they were
// higher once, keeps that. Where it may evict, it comes down to them at the pace
// of what is new: whatever is added has to find room for twice as much.
type capacity struct {
	// limit is of all entries, and guestLimit of those that are guests: the rest
	// is the reserve.
	limit, guestLimit amount
	evicts            bool

	mu     sync.Mutex
	all    amount
	guests amount
	// over is how much there was when something was last added, as long as that
	// is beyond the limit, and overGuests of guests; 0 where it is not.
	over, overGuests amount
}

// newCapacity returns a capacity of which guests cannot take a reserve of so many
// percent.
func newCapacity(limit amount, reserve int) capacity {
	share := amount{int64(reserve) * limit.entries / 100, limit.bytes / 100 * int64(reserve)}
	return capacity{limit: limit, guestLimit: limit.minus(share)}
}

// take replaces what an entry takes. It fails with errFull or errReserved, or
// with errGuestTooLarge or backend.ErrFull if no eviction could ever make it fit. trusted may take the
// reserve for a guest. What becomes a guest has been in the store, and takes it.
func (c *capacity) take(old, next usage, trusted bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, guests, err := c.with(old, next, trusted)
	if err != nil {
		return err
	}
	c.over = c.over.after(c.limit, c.all, all)
	c.overGuests = c.overGuests.after(c.guestLimit, c.guests, guests)
	c.all, c.guests = all, guests
	return nil
}

// admits returns why take of a new entry would fail; nil if it would not.
func (c *capacity) admits(next usage, trusted bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _, err := c.with(none, next, trusted)
	return err
}

// with returns what there would be with next in place of old, and why that cannot be.
func (c *capacity) with(old, next usage, trusted bool) (all, guests amount, err error) {
	all = c.all.minus(old.amount).plus(next.amount)
	guests = c.guests.minus(old.guests()).plus(next.guests())
	bound := next.guest && !trusted && (old.guest || old == none)
	switch {
	case next.hopeless(c.limit, old):
		err = backend.ErrFull
	case bound && next.hopeless(c.guestLimit, old):
		err = errGuestTooLarge
	case bound && guests.exceeds(c.guestLimit.paced(c.overGuests, guests.minus(c.guests)), c.guests):
		err = errReserved
	case all.exceeds(c.limit.paced(c.over, all.minus(c.all)), c.all):
		err = errFull
	}
	return all, guests, err
}

// paced is a limit for what grows by so much: where there is more than the limit,
// what is added has to find room for twice as much.
func (a amount) paced(over, growth amount) amount {
	if a.entries > 0 {
		a.entries = max(a.entries, over.entries-growth.entries)
	}
	if a.bytes > 0 {
		a.bytes = max(a.bytes, over.bytes-growth.bytes)
	}
	return a
}

// after is what is over a limit once there is next in place of before.
func (a amount) after(limit, before, next amount) amount {
	if next.entries > before.entries {
		a.entries = beyond(limit.entries, min(a.entries, next.entries))
	}
	if next.bytes > before.bytes {
		a.bytes = beyond(limit.bytes, min(a.bytes, next.bytes))
	}
	return a
}

// beyond returns n where it is beyond the limit, and 0 otherwise.
func beyond(limit, n int64) int64 {
	if n <= limit {
		return 0
	}
	return n
}

// fill adds an entry, or several of a kind, whatever the limits are.
func (c *capacity) fill(h usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = c.all.plus(h.amount)
	c.guests = c.guests.plus(h.guests())
	if !c.evicts {
		return
	}
	if c.limit.entries > 0 {
		c.over.entries = beyond(c.limit.entries, c.all.entries)
		c.overGuests.entries = beyond(c.guestLimit.entries, c.guests.entries)
	}
	if c.limit.bytes > 0 {
		c.over.bytes = beyond(c.limit.bytes, c.all.bytes)
		c.overGuests.bytes = beyond(c.guestLimit.bytes, c.guests.bytes)
	}
}

// hopeless reports whether it would be too large alone. What does not grow is not.
func (h usage) hopeless(limit amount, old usage) bool {
	return limit.bytes > 0 && h.bytes > limit.bytes && h.bytes > old.bytes
}

// give returns what an entry took.
func (c *capacity) give(h usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = c.all.minus(h.amount)
	c.guests = c.guests.minus(h.guests())
}

// fits returns why a new entry would not fit: errFull or errReserved.
func (c *capacity) fits(next usage, trusted bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next.hopeless(c.limit, none) {
		return errFull
	}
	if next.guest && !trusted && c.guests.plus(next.amount).exceeds(c.guestLimit, c.guests) {
		return errReserved
	}
	if c.all.plus(next.amount).exceeds(c.limit, c.all) {
		return errFull
	}
	return nil
}

func (c *capacity) taken() amount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// exceeded reports whether an amount is beyond the limits.
func (c *capacity) exceeded(all amount) bool { return all.exceeds(c.limit, amount{}) }
