package store

import (
	"iter"
	"time"

	"session-api/internal/schema"
)

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
