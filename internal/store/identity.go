package store

import "context"

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
