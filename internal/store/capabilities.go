package store

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// capabilities are what the backend can do beside what every one can; nil where it
// cannot.
type capabilities struct {
	locker      backend.Locker
	identified  backend.Identified
	recaller    backend.Recaller
	limited     backend.Limited
	snapshotter backend.Snapshotter
	filed       backend.Filed
	clock       backend.ClockWatcher
}

// capabilitiesOf looks for all of them. No other place does.
func capabilitiesOf(b backend.Store) (c capabilities) {
	c.locker, _ = backend.As[backend.Locker](b)
	c.identified, _ = backend.As[backend.Identified](b)
	c.recaller, _ = backend.As[backend.Recaller](b)
	c.limited, _ = backend.As[backend.Limited](b)
	c.snapshotter, _ = backend.As[backend.Snapshotter](b)
	c.filed, _ = backend.As[backend.Filed](b)
	c.clock, _ = backend.As[backend.ClockWatcher](b)
	return c
}

// Shared reports whether other instances may use the same sessions.
func (s *Sessions) Shared() bool { return s.can.locker != nil }

// Lock is backend.Locker.Lock. Where the sessions are not shared, the lease is
// always to be had, and keeps nobody out.
func (s *Sessions) Lock(ctx context.Context, name string, lease time.Duration) (unlock func(), held bool, err error) {
	if s.can.locker == nil {
		return func() {}, true, nil
	}
	return s.can.locker.Lock(ctx, name, lease)
}

// Identity is backend.Identified.Identity, and empty where the backend has none.
func (s *Sessions) Identity(ctx context.Context) (string, error) {
	if s.can.identified == nil {
		return "", nil
	}
	return s.can.identified.Identity(ctx)
}

// Limited reports whether the backend has limits of its own, beyond which it
// evicts or refuses.
func (s *Sessions) Limited() bool { return s.can.limited != nil }

// Room is what there is room for at now: backend.Limited.Room, and any number
// where the backend is not Limited.
func (s *Sessions) Room(ctx context.Context, now time.Time) (backend.Room, error) {
	if s.can.limited == nil {
		return backend.Room{Entries: -1, Bytes: -1}, nil
	}
	return s.can.limited.Room(ctx, now)
}

// Cost is how many of Room's Bytes a session takes; 0 where the backend is not
// Limited.
func (s *Sessions) Cost(sess *schema.Session) int64 {
	if s.can.limited == nil {
		return 0
	}
	return s.can.limited.Cost(sess)
}

// Snapshots reports whether the backend can tell what it held at one moment.
func (s *Sessions) Snapshots() bool { return s.can.snapshotter != nil }

// Snapshot returns what is live at now; see backend.Snapshotter. ok is false where
// the backend cannot tell.
func (s *Sessions) Snapshot(now time.Time) (snapshot backend.Snapshot, ok bool) {
	if s.can.snapshotter == nil {
		return snapshot, false
	}
	return s.can.snapshotter.Snapshot(now), true
}

// File says how the file is that the sessions are in; ok is false where there is
// none.
func (s *Sessions) File() (stats backend.FileStats, ok bool) {
	if s.can.filed == nil {
		return stats, false
	}
	return s.can.filed.File(), true
}
