package main

import (
	"context"
	"time"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
)

// clockInterval is how soon it shows that the clock was set.
const clockInterval = time.Second

// clockLoop lets the store see the clock as long as it holds sessions back that a
// clock which is ahead may have ended.
func clockLoop(kept backend.Store) func(context.Context) {
	return func(ctx context.Context) {
		durable, ok := kept.(*bolt.Store)
		if !ok {
			return
		}
		ticker := time.NewTicker(clockInterval)
		defer ticker.Stop()
		for durable.HeldBack() > 0 {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				durable.LookAtClock(now)
			}
		}
	}
}
