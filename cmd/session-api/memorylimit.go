package main

import (
	"context"
	"log/slog"
	"runtime/debug"

	"session-api/internal/config"
)

// applyMemoryLimit tells Go's runtime to stay within the memory limit, and says
// what bounds the memory.
func applyMemoryLimit(ctx context.Context, c *config.Config, environ map[string]string, logger *slog.Logger) (restore func()) {
	restore = c.MemoryLimit().Apply(environ)
	if c.MemoryLimit().Bytes == 0 {
		return restore
	}
	says := []any{"bytes", c.MemoryLimit().Bytes, "from", c.MemoryLimit().From, "runtime", debug.SetMemoryLimit(-1)}
	if !c.OnRedis() {
		says = append(says, "SESSION_MAX_MEMORY_BYTES", c.Store.MaxMemoryBytes, "IDEMPOTENCY_MAX_BYTES", c.Idempotency.MaxBytes)
	}
	logger.InfoContext(ctx, "memory is limited", says...)
	return restore
}
