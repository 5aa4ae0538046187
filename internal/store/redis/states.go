package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/lua"
)

// LoadState implements backend.States.
func (s *Store) LoadState(ctx context.Context, name string) ([]byte, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	state, err := client.Do(ctx, client.B().Get().Key(s.keys.State(name)).Build().Pin()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return state, failed("reading a state", err)
}

// SwapState implements backend.States.
func (s *Store) SwapState(ctx context.Context, name string, old, next []byte) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	a, err := s.eval(ctx, client, "changing a state", lua.Call{
		Confirmed: s.confirmedWrite(), Script: lua.SwapState, Keys: []string{s.keys.State(name)},
		Args: []string{millis(time.UnixMilli(0)), flag(old != nil), string(old), flag(next != nil), string(next)},
	})
	if err == nil && a.Outcome != lua.Done {
		err = backend.ErrConflict
	}
	return err
}
