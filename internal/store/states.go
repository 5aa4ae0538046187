package store

import "context"

// LoadState returns a state of the service; see backend.States.
func (s *Sessions) LoadState(ctx context.Context, name string) ([]byte, error) {
	return s.backend.LoadState(ctx, name)
}

// SwapState replaces a state of the service; see backend.States.
func (s *Sessions) SwapState(ctx context.Context, name string, old, next []byte) error {
	return s.backend.SwapState(ctx, name, old, next)
}
