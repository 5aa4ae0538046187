package memory

import (
	"errors"
	"sync"

	"session-api/internal/store/backend"
)

// errNoRoom: the budget is used up, for now. errNoGuestRoom: what guests may take
// of it is. errGuestTooLarge: it would be by this guest alone.
var (
	errNoRoom        = errors.New("no room")
	errNoGuestRoom   = errors.New("no room without the reserve")
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

// holding is what an entry takes, or is to take.
type holding struct {
	amount
	guest bool
}

// none is what an entry takes that there is not.
var none holding

func (h holding) guests() amount {
	if h.guest {
		return h.amount
	}
	return amount{}
}

// holding is what an entry with the record takes.
func (r *record) holding() holding { return holding{amount{1, r.cost()}, r.guest()} }

// budget counts what is stored, and never lets it grow beyond the limits.
//
// A store that was filled with more than its limits allow, because they were
// higher once, keeps that. Where it may evict, it comes down to them at the pace
// of what is new: whatever is added has to find room for twice as much.
type budget struct {
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

// newBudget returns a budget of which guests cannot take a reserve of so many
// percent.
func newBudget(limit amount, reserve int) budget {
	share := amount{int64(reserve) * limit.entries / 100, limit.bytes / 100 * int64(reserve)}
	return budget{limit: limit, guestLimit: limit.minus(share)}
}

// take replaces what an entry takes. It fails with errNoRoom or errNoGuestRoom, or
// with errGuestTooLarge or backend.ErrFull if no eviction could ever make it fit. trusted may take the
// reserve for a guest. What becomes a guest has been in the store, and takes it.
func (b *budget) take(old, next holding, trusted bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all.minus(old.amount).plus(next.amount)
	guests := b.guests.minus(old.guests()).plus(next.guests())
	bound := next.guest && !trusted && (old.guest || old == none)
	switch {
	case next.hopeless(b.limit, old):
		return backend.ErrFull
	case bound && next.hopeless(b.guestLimit, old):
		return errGuestTooLarge
	case bound && guests.exceeds(b.guestLimit.paced(b.overGuests, guests.minus(b.guests)), b.guests):
		return errNoGuestRoom
	case all.exceeds(b.limit.paced(b.over, all.minus(b.all)), b.all):
		return errNoRoom
	}
	b.over = b.over.after(b.limit, b.all, all)
	b.overGuests = b.overGuests.after(b.guestLimit, b.guests, guests)
	b.all, b.guests = all, guests
	return nil
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
func (b *budget) fill(h holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = b.all.plus(h.amount)
	b.guests = b.guests.plus(h.guests())
	if !b.evicts {
		return
	}
	if b.limit.entries > 0 {
		b.over.entries = beyond(b.limit.entries, b.all.entries)
		b.overGuests.entries = beyond(b.guestLimit.entries, b.guests.entries)
	}
	if b.limit.bytes > 0 {
		b.over.bytes = beyond(b.limit.bytes, b.all.bytes)
		b.overGuests.bytes = beyond(b.guestLimit.bytes, b.guests.bytes)
	}
}

// hopeless reports whether it would be too large alone. What does not grow is not.
func (h holding) hopeless(limit amount, old holding) bool {
	return limit.bytes > 0 && h.bytes > limit.bytes && h.bytes > old.bytes
}

// give returns what an entry took.
func (b *budget) give(h holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = b.all.minus(h.amount)
	b.guests = b.guests.minus(h.guests())
}

// fits returns why a new entry would not: errNoRoom or errNoGuestRoom.
func (b *budget) fits(next holding, trusted bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next.hopeless(b.limit, none) {
		return errNoRoom
	}
	if next.guest && !trusted && b.guests.plus(next.amount).exceeds(b.guestLimit, b.guests) {
		return errNoGuestRoom
	}
	if b.all.plus(next.amount).exceeds(b.limit, b.all) {
		return errNoRoom
	}
	return nil
}

func (b *budget) taken() amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all
}

// exceeded reports whether an amount is beyond the limits.
func (b *budget) exceeded(all amount) bool { return all.exceeds(b.limit, amount{}) }
