package backend

import (
	"math"
	"time"

	"session-api/internal/schema"
)

// Span is the time between two moments, neither of which is part of it. A zero
// moment leaves its side open.
type Span struct{ After, Before time.Time }

// Contains reports whether t is in the span, to the millisecond.
func (s Span) Contains(t time.Time) bool {
	after, before := s.Millis()
	return after < t.UnixMilli() && t.UnixMilli() < before
}

// Millis returns both moments in Unix milliseconds: those that are before and after
// every other where the side is open.
func (s Span) Millis() (after, before int64) {
	after, before = math.MinInt64, math.MaxInt64
	if !s.After.IsZero() {
		after = s.After.UnixMilli()
	}
	if !s.Before.IsZero() {
		before = s.Before.UnixMilli()
	}
	return after, before
}

// Query selects sessions to list.
type Query struct {
	Namespace string
	// UserID limits the list to one user's sessions; empty for all.
	UserID string
	// Created limits it to sessions whose CreatedAt is in it.
	Created Span
	// OldestFirst reverses the order of the list.
	OldestFirst bool
	// Limit is the most sessions a page has; at least 1.
	Limit int
	// Cursor is the Next of the page before; empty for the first. Pages are
	// stable: a session created or ended meanwhile neither repeats nor hides
	// another.
	Cursor string
}

// Page is one page of a list.
type Page struct {
	Sessions []schema.Session
	// Next is the cursor of the next page, empty at the end.
	Next string
}

// SummaryPage is one page of a list of summaries.
type SummaryPage struct {
	Summaries []schema.Summary
	// Next is the cursor of the next page, empty at the end.
	Next string
}

// Batch names several sessions of a namespace to read.
type Batch struct {
	Namespace string
	IDs       []string
	// Budget is how many bytes of documents there may be: one that is larger than what
	// those before it have left is ErrOverBudget, and not used. The first is always
	// there.
	Budget int64
	// Peek: reading them is no use, as for Store.Peek.
	Peek bool
}

// Found is what there is of one of several sessions: what a Get of it alone would
// return.
type Found[T any] struct {
	Value T
	Err   error
}

// Filter selects sessions to end or to count, within one namespace.
type Filter struct {
	Namespace string
	// UserID limits it to one user's sessions; empty for all.
	UserID string
	// Created limits it to sessions whose CreatedAt is in it.
	Created Span
	// Except is an id that is spared; empty for none.
	Except string
	// Exact makes Count look at each session, whatever it costs.
	Exact bool
}

// Stats are a store's counters. Where several instances share what a store
// keeps, Entries and Bytes are of all that is kept, and the others of what this
// instance did.
type Stats struct {
	// Entries is the number of live sessions. A store that others use too may
	// count some that have expired where these are many and not swept yet.
	Entries int64
	// MaxEntries is the limit on Entries; 0 for none.
	MaxEntries int64
	// Bytes is what the sessions take, as far as the store's budget counts it.
	Bytes int64
	// OverLimit: the store holds more than its limits allow, because they were
	// higher when that was stored. Where it may not evict, it takes no new
	// session until it is within them.
	OverLimit bool

	Hits, Misses, Sets, Deletes, Evictions, Expirations int64

	// Reserved is how often ErrFull was returned because only the reserve had room.
	Reserved int64
	// Requests is how many requests with an Idempotency-Key are kept, and RequestBytes
	// about what they take; both are 0 where another process keeps them.
	Requests, RequestBytes int64
	// Damaged is how often something was met under a session's key that is not a
	// session's document.
	Damaged int64
}
