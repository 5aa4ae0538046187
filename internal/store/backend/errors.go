package backend

import (
	"errors"
	"fmt"
)

// The errors that callers decide on. A store wraps them or returns them as
// they are; anything else that it returns is a failure of the store itself and
// wraps ErrUnavailable.
var (
	// ErrNotFound: there is no live session of that key. Expired, ended,
	// evicted and never stored are all the same.
	ErrNotFound = errors.New("session not found")
	// ErrExists: a live session already has that key.
	ErrExists = errors.New("session exists")
	// ErrConflict: the session is not as the caller last saw it.
	ErrConflict = errors.New("session changed meanwhile")
	// ErrFull: the store is at its limit and may not evict.
	ErrFull = errors.New("store is full")
	// ErrEnded: a session of that key was ended (Delete, Clear, Regenerate)
	// within the store's tombstone window, and must not come back.
	ErrEnded = errors.New("session was ended")
	// ErrLapsed: a session of that key expired or was evicted within the store's
	// tombstone window, and a late write must not bring it back. It is a kind of
	// ErrEnded.
	ErrLapsed = fmt.Errorf("%w: it expired or was evicted", ErrEnded)
	// ErrOverBudget: the document is more than the caller has room for.
	ErrOverBudget = errors.New("document is over the budget")
	// ErrBadCursor: a cursor that this store did not give out for this query.
	ErrBadCursor = errors.New("bad cursor")
	// ErrEventsLost: events that a follower has not seen are no longer kept.
	ErrEventsLost = errors.New("events lost")
	// ErrDamaged: what is stored under the key is not a session's document.
	ErrDamaged = errors.New("session damaged")
	// ErrReadOnly: the store can be read but not written at present. It is a
	// kind of ErrUnavailable.
	ErrReadOnly = fmt.Errorf("%w: not writable at present", ErrUnavailable)
	// ErrUnavailable: the store could not be asked, or did not answer in time.
	ErrUnavailable = errors.New("store unavailable")
)

// UnreadyError is an error of a store that can be reached, and is not ready all
// the same. It is a kind of ErrUnavailable.
type UnreadyError struct {
	// Reason says why in one sentence, which may be shown to anybody: it names no
	// address, no user and no secret.
	Reason string
	Err    error
}

func (e *UnreadyError) Error() string { return e.Err.Error() }

// Unwrap returns what the error wraps, and ErrUnavailable.
func (e *UnreadyError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }
