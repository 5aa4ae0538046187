package api_test

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// brokenStore is a store that cannot be asked, for sessions or for states, once a test says
// so; a test that does asks it from one goroutine.
type brokenStore struct {
	backend.Store
	broken, noStates bool
}

func (b *brokenStore) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if b.broken {
		return schema.Session{}, backend.ErrUnavailable
	}
	return b.Store.Peek(ctx, now, key)
}

func (b *brokenStore) LoadState(ctx context.Context, name string) ([]byte, error) {
	if b.noStates {
		return nil, backend.ErrUnavailable
	}
	return b.Store.LoadState(ctx, name)
}
