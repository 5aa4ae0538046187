package store

import (
	"context"
	"time"

	"session-api/internal/schema"
)

// Room is what a store can take beside what it holds; negative for any number.
type Room struct{ Entries, Bytes int64 }

// Limited is a store with limits of its own, beyond which it evicts or refuses.
type Limited interface {
	// Room returns what there is room for at now.
	Room(ctx context.Context, now time.Time) (Room, error)
	// Cost is how many of Room's Bytes a session takes.
	Cost(s *schema.Session) int64
}
