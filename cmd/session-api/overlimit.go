package main

import (
	"context"
	"log/slog"
	"time"

	"session-api/internal/store/backend"
)

// overLimitInterval is how often the log says that the store is over its limits.
const overLimitInterval = time.Hour

// overLimitLoop says so again and again, as long as it is. The store itself has
// said it when it was opened.
func overLimitLoop(kept backend.Store, policy string, logger *slog.Logger) func(context.Context) {
	return func(ctx context.Context) {
		ticker := time.NewTicker(overLimitInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				sayOverLimit(ctx, kept, policy, now, logger)
			}
		}
	}
}

func sayOverLimit(ctx context.Context, kept backend.Store, policy string, now time.Time, logger *slog.Logger) {
	st, err := kept.Stats(ctx, now)
	if err != nil || !st.OverLimit {
		return
	}
	logger.WarnContext(ctx, "the store still holds more than its limits allow: raise SESSION_MAX_ENTRIES or SESSION_MAX_MEMORY_BYTES, or end sessions",
		"sessions", st.Entries, "maxEntries", st.MaxEntries, "bytes", st.Bytes, "policy", policy)
}
