package memory

import (
	"bytes"
	"context"
	"sync"

	"session-api/internal/store/backend"
)

// stateTable keeps states by their names.
type stateTable struct {
	mu     sync.RWMutex
	byName map[string][]byte
}

// LoadState implements backend.States.
func (s *Store) LoadState(_ context.Context, name string) ([]byte, error) {
	s.states.mu.RLock()
	defer s.states.mu.RUnlock()
	return bytes.Clone(s.states.byName[name]), nil
}

// SwapState implements backend.States.
func (s *Store) SwapState(_ context.Context, name string, old, next []byte) error {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	kept, found := s.states.byName[name]
	switch {
	case found != (old != nil), !bytes.Equal(kept, old):
		return backend.ErrConflict
	case next == nil:
		delete(s.states.byName, name)
	default:
		s.states.byName[name] = append([]byte{}, next...)
	}
	return nil
}
