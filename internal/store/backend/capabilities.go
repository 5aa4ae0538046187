package backend

import (
	"context"
	"iter"
	"time"

	"session-api/internal/schema"
)

// The interfaces in this file are for what only some stores can do. As finds them.

// Wrapper is a store around another one. It has the capabilities of the store
// within but for those that it implements itself.
type Wrapper interface {
	// Unwrap returns the store within.
	Unwrap() Store
}

// As returns s as the capability C, which is one of this package's interfaces, or
// else the first store within s that has it.
func As[C any](s Store) (capable C, ok bool) {
	for {
		if capable, ok = s.(C); ok {
			return capable, true
		}
		wrapper, wraps := s.(Wrapper)
		if !wraps {
			return capable, false
		}
		s = wrapper.Unwrap()
	}
}

// Locker is a store that several instances share, and that lets one of them at
// a time do something.
type Locker interface {
	// Lock takes the lease of that name, unless somebody has it: then held is
	// false. Who died with it loses it after that time.
	Lock(ctx context.Context, name string, lease time.Duration) (unlock func(), held bool, err error)
}

// Identified is a store that can be told from others, by whoever keeps
// something that belongs to its sessions elsewhere, such as their files.
type Identified interface {
	// Identity names the sessions that the store keeps: the same for all stores
	// that share them, for every call and over restarts, and another than that
	// of any other store. Empty where the sessions end with the store itself.
	// It says nothing secret. Where it cannot be found out at present, the error
	// wraps ErrUnavailable.
	Identity(ctx context.Context) (string, error)
}

// Recaller is a store that is elsewhere, and remembers what it was last asked for.
type Recaller interface {
	// Recall returns the session of the key as the store has last seen it, without
	// asking. It may be another by now, or none, and its deadline another: only a Swap
	// that succeeds shows what it was. ok is false if the store does not remember it, or
	// takes it to have changed.
	Recall(now time.Time, key Key) (s schema.Session, ok bool)
}

// Room is what a store can take beside what it holds; negative for any number.
type Room struct{ Entries, Bytes int64 }

// Limited is a store with limits of its own, beyond which it evicts or refuses.
type Limited interface {
	// Room returns what there is room for at now.
	Room(ctx context.Context, now time.Time) (Room, error)
	// Cost is how many of Room's Bytes a session takes.
	Cost(s *schema.Session) int64
}

// Snapshot is all that a store held at one moment.
type Snapshot struct {
	// Sessions are those that were live, in the order in which they were used last,
	// as far as the store keeps it.
	Sessions iter.Seq[schema.Session]
	// Count is how many they are.
	Count int
}

// Snapshotter is a store that can tell what it held at one moment: no session is
// missing because it was given another id meanwhile, none is there twice, and of
// two changes that were made one after the other none holds the second alone.
type Snapshotter interface {
	// Snapshot returns what is live at now. It keeps writers waiting while it looks
	// at what there is, and not while the sessions are read.
	Snapshot(now time.Time) Snapshot
}

// Filed is a store that keeps sessions in a file.
type Filed interface {
	// File says how that is.
	File() FileStats
}

// FileStats are of a file that sessions are kept in.
type FileStats struct {
	// Writable: any change can be made at present. State says it in words, which may
	// be shown to anybody.
	Writable bool
	State    string
	// Bytes is the size of the file, FreeBytes what of it can be written again, and
	// LiveBytes about what of it counts. VolumeFreeBytes is what is left of the
	// volume.
	Bytes, FreeBytes, LiveBytes, VolumeFreeBytes int64
	// LastCommitAge is how long ago the last transaction was written.
	LastCommitAge time.Duration
	// CommitFailures is how many could not be. Commits and CommitSeconds are how many
	// were, and how long that took; CommitBuckets how many took no longer than that.
	CommitFailures int64
	Commits        uint64
	CommitSeconds  float64
	CommitBuckets  map[float64]uint64
}

// ClockWatcher is a store that may hold sessions back when it is opened: those
// that had expired by a clock which could have been ahead.
type ClockWatcher interface {
	// HeldBack is how many sessions are held back.
	HeldBack() int
	// LookAtClock compares the clock, which says now, with one that is never set.
	// Sessions whose deadline has not come live again; they are over once the clock
	// has gone well for long enough.
	LookAtClock(now time.Time)
}
