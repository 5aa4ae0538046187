package backend

import (
	"slices"
	"time"

	"session-api/internal/schema"
)

// What the contract says of single sessions, for backends to share.

// CreateOption changes what Create does.
type CreateOption int

// Revive makes Create lift a tombstone.
const Revive CreateOption = 1

// Revives reports whether Revive is among the options.
func Revives(opts []CreateOption) bool { return slices.Contains(opts, Revive) }

// Version is what Swap and Regenerate compare to find whether a session is still
// as the caller saw it. ExpiresAt is no part of it: a touch meanwhile is no
// conflict.
type Version struct {
	Life schema.Life
	// Created is CreatedAt in Unix milliseconds.
	Created     int64
	Revision    int64
	TTL, OwnTTL time.Duration
	Facts       schema.Facts
}

// VersionOf returns the version of s.
func VersionOf(s *schema.Session) Version {
	return Version{Life: s.Life, Created: s.CreatedAt.UnixMilli(), Revision: s.Revision, TTL: s.TTL, OwnTTL: s.OwnTTL, Facts: s.Facts}
}

// AtRevision reports whether Delete with the condition wanted, 0 for none, ends a
// session of that revision.
func AtRevision(wanted, revision int64) bool { return wanted == 0 || wanted == revision }

// Touched returns the deadline to which Touch moves that of a session with the
// idle life ttl, if it is later: until, but now plus ttl at most. So a touch that
// was worked out before a change shortened the idle life does not undo that.
func Touched(now, until time.Time, ttl time.Duration) time.Time {
	if limit := now.Add(ttl); until.After(limit) {
		return limit
	}
	return until
}

// Budget is what is left of the bytes that several documents may take.
type Budget struct {
	left int64
	used bool
}

// NewBudget returns a budget of that many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{left: bytes} }

// Take takes the size of a document from what is left, and reports whether there was
// enough, as there always is for the first one.
func (b *Budget) Take(size int) bool {
	if b.used && int64(size) > b.left {
		return false
	}
	b.left, b.used = b.left-int64(size), true
	return true
}

// Matches reports whether the filter matches s.
func (f Filter) Matches(s *schema.Session) bool {
	return s.Namespace == f.Namespace && s.ID != f.Except && (f.UserID == "" || s.UserID == f.UserID) && f.Created.Contains(s.CreatedAt)
}
