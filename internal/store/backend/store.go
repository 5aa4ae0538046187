// Package backend is the contract between the service and what keeps its
// sessions.
//
// Store has the methods that every backend implements; Locker, Limited and the
// other interfaces of capabilities.go are for what only some can do. Memory, bolt
// and Redis implement them, and storetest checks their sentences. All of the
// service but its start goes through store.Sessions, which adds the rules.
//
// In reading order: store.go (the methods), requests.go and states.go (more
// of them), errors.go, query.go (filters, pages, counters), events.go, capabilities.go; then what backends share: rules.go,
// cursor.go and eventlog.go.
package backend

import (
	"context"
	"time"

	"session-api/internal/schema"
)

// Key names a session.
type Key = schema.Key

// Store keeps sessions. All methods may be called from many goroutines at
// once, and each is atomic: a caller sees a session wholly before or wholly
// after another's change.
//
// Time is an argument. A session is absent from the millisecond of its
// ExpiresAt on, whether or not a sweep has seen it: every method answers as if
// it were not stored.
//
// Where others can write to what a store keeps, a key may hold something that is
// no session. That is the fault of this one key: every method that reads or
// changes it returns ErrDamaged, and Create does, too, rather than overwrite it.
// Delete with revision 0 removes it. All other methods answer as if it were not
// there, except that nothing which it might refer to counts as unreferenced while
// Files and HasFile know of it.
//
// Sessions go in and come out as values whose Doc and Files nobody changes.
type Store interface {
	Requests
	States

	// Name is the store's kind as the settings spell it: "memory", "redis".
	Name() string

	// Create stores s, making room by the store's eviction policy where it is
	// full. Returns ErrExists if a live session has its key, ErrEnded if one had
	// it that was ended within the tombstone window, ErrLapsed if one had it that
	// was evicted within that, or expired: that window begins with ExpiresAt,
	// whether or not anybody has noticed. Returns ErrFull if there is no room and
	// nothing may be evicted. A store may forget the oldest tombstones, so that
	// their number is bounded, but none of an ended session to remember one that
	// expired or was evicted.
	//
	// A store that evicts takes guests first, which are sessions without a user, by
	// its policy, and those last of them that were created as Trusted, not Imported, and
	// never had one. Where it goes by use, Disposable ones are the first of them, until their
	// first Swap, and those that were not used since Create go before those that were
	// used again, unless the former have become few. A store with a reserve returns ErrFull to
	// a guest that would need it and is not Trusted, or evicts other guests for it;
	// it evicts no other session for a guest while those take no more than the
	// reserve. For an Additional session nothing is evicted: Create returns ErrFull.
	//
	// With Revive, for callers that may set again what they removed, it lifts the
	// tombstone of the key, and never returns ErrEnded. In any case an old key in its
	// grace becomes the new session's.
	Create(ctx context.Context, now time.Time, s schema.Session, opts ...CreateOption) error

	// Get returns the live session of the key, and counts as a use of it
	// (recency, hits, misses). Within the grace of Regenerate the old key
	// leads to the successor: the returned ID is then another than the key's.
	// Writes take the successor's own key; Sessions finds it for its callers.
	// Returns ErrNotFound.
	Get(ctx context.Context, now time.Time, key Key) (schema.Session, error)

	// Peek is Get without being a use: no recency, no counter.
	Peek(ctx context.Context, now time.Time, key Key) (schema.Session, error)

	// Swap replaces old by next, which has the same key, if the stored session
	// is still old, judged by its Version. The Life stays, unless UserID
	// becomes another: then that of next holds, which must be new, and in the same
	// step every old key in its grace that leads to the session is gone. Where TTL
	// and OwnTTL stay the same, the later of the stored and the new ExpiresAt
	// holds, so that a touch is not undone. Returns what is now stored. Counts as a use.
	// Returns ErrConflict if it changed, ErrNotFound if it is gone (an old key
	// in its grace is gone), and ErrFull if next is larger and there is no room.
	// Facts are a part of what is compared and of what is stored; where they name a client
	// of another family (schema.Facts.FamilyChanged), EventClientChanged says so.
	// A session that grows makes room as a new one does; one that loses its user
	// is never refused for being a guest.
	Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error)

	// Touch moves ExpiresAt to until, if that is later, and writes nothing
	// else. It moves it to now plus the stored TTL at most (see Touched). It never brings back what is gone. Counts as a use. Returns what
	// is now stored, or ErrNotFound (an old key in its grace is gone).
	Touch(ctx context.Context, now time.Time, key Key, until time.Time) (schema.Session, error)

	// Regenerate stores next, which has a new id, in the place of old, in one
	// step: of any number of calls for one session exactly one succeeds, and
	// from then on the old key is gone. If graceUntil is after now, Get and
	// Peek of the old key lead to the successor until then, or until the
	// successor is gone; a regenerated successor's old keys lead nowhere. Where
	// next is of another user than old, there is no grace: nobody who could open
	// the session before can open it afterwards.
	// The Facts of next are stored, as by Swap.
	// Counts as a use. Returns ErrConflict if old changed (as for Swap),
	// ErrNotFound if it is gone, ErrExists if next's id is taken.
	Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error

	// Delete ends the session. With a revision other than 0 it does so only if
	// the session has that revision, and returns ErrConflict otherwise.
	// Returns ErrNotFound if there is none (an old key in its grace is gone).
	Delete(ctx context.Context, now time.Time, key Key, revision int64) error

	// GetAll is Get, or Peek, of several sessions, in their order. The error is that of
	// the store itself. The number of round trips to a server is bounded for
	// each hundred ids, and does not grow with what they lead to.
	GetAll(ctx context.Context, now time.Time, b Batch) ([]Found[schema.Session], error)

	// Summarize is Peek of the summaries of several sessions of one namespace. It takes
	// no more of their documents than it has to.
	Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]Found[schema.Summary], error)

	// DeleteAll is Delete of several sessions of one namespace, whatever their
	// revisions, in as few round trips. ended says of each id whether this ended its
	// session, also where there is an error: then others may not have been.
	DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) (ended []bool, err error)

	// List returns live sessions of one namespace, newest first, ties broken
	// by id, or in the reverse order. It costs what it returns, not what the
	// store holds.
	// Returns ErrBadCursor.
	List(ctx context.Context, now time.Time, q Query) (Page, error)

	// Summaries is List of the sessions' summaries, with the same cursors. It takes no
	// more of their documents than it has to.
	Summaries(ctx context.Context, now time.Time, q Query) (SummaryPage, error)

	// Count returns how many live sessions f matches. Where others come and go
	// meanwhile, it is as many as at some moment between. A store that is elsewhere may
	// estimate numbers above 10,000: within 1 % in 999 of 1,000 cases while no more than
	// 2 % of what it has indexed has expired since the last Sweep.
	Count(ctx context.Context, now time.Time, f Filter) (int, error)

	// Namespaces returns the names of all namespaces that have a live session,
	// sorted, each once; perhaps of others, too. A namespace is named from the
	// moment that its first Create returns. It costs what it returns, not what
	// the store holds.
	Namespaces(ctx context.Context, now time.Time) ([]string, error)

	// Clear ends the sessions that f matches and returns how many they were.
	// One that is regenerated meanwhile does not escape.
	Clear(ctx context.Context, now time.Time, f Filter) (int, error)

	// Files calls yield with each file that a live session refers to, in no
	// order, possibly more than once. It returns yield's error as it is, and
	// an error of its own if it could not name all of them.
	Files(ctx context.Context, now time.Time, yield func(path string) error) error

	// HasFile reports whether a live session refers to any of the paths.
	HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error)

	// Follow calls yield with each event after the one whose ID is after, in
	// order; with an empty after, with each from now on. Every created, changed
	// or ended session has its event by the time that the method which did it
	// returns, or soon after; the events of one session come in the order in
	// which things happened to it. Only so many events are kept: a follower
	// that is slower than they come, or that was away for too long, gets
	// ErrEventsLost, and so does one with an ID that the store did not give
	// out. It ends with that, with yield's error as it is, or with ctx's.
	Follow(ctx context.Context, after string, yield func(Event) error) error

	// LimitLife says that no session lives for longer than that after its
	// creation, whatever ExpiresAt it was stored with; 0 for no limit. From then
	// on, what is stored is as if it had been stored with a deadline within the
	// limit: where that has passed, the session has expired, is counted, swept
	// and has its event as any other. The store is told before it is used, each
	// time that it is opened.
	LimitLife(limit time.Duration)

	// Sweep frees what has expired and returns how many sessions that were.
	Sweep(ctx context.Context, now time.Time) (int, error)

	// Stats returns the counters since the store was opened, and what is live.
	Stats(ctx context.Context, now time.Time) (Stats, error)

	// Ping reports whether the store can be asked.
	Ping(ctx context.Context) error

	// Close frees what the store holds. No method may be called afterwards.
	Close() error
}
