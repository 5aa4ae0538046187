package config

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/memlimit"
)

func TestSessionBytes(t *testing.T) {
	const mib = 1 << 20
	assert.Zero(t, sessionBytes(memlimit.Limit{}, mib, mib))
	assert.EqualValues(t, 100*mib/100*40, sessionBytes(memlimit.Limit{Bytes: 100 * mib}, mib, 0))
	assert.EqualValues(t, 100*mib/100*40-5*mib, sessionBytes(memlimit.Limit{Bytes: 100 * mib}, mib, 5*mib), "they share the memory")
	assert.EqualValues(t, 2*mib, sessionBytes(memlimit.Limit{Bytes: mib}, mib, mib), "the largest session fits")
}

func TestIdempotencyBytes(t *testing.T) {
	for name, c := range map[string]struct {
		environ            map[string]string
		requests, sessions int64
	}{
		"no limit":      {nil, 64 << 20, 0},
		"much memory":   {map[string]string{"GOMEMLIMIT": "10GiB"}, 64 << 20, (10<<30)/100*40 - (64 << 20)},
		"a share":       {map[string]string{"GOMEMLIMIT": "100MiB"}, 5 << 20, 35 << 20},
		"very little":   {map[string]string{"GOMEMLIMIT": "10MiB"}, 2 << 20, 2 << 20},
		"what is set":   {map[string]string{"GOMEMLIMIT": "100MiB", "IDEMPOTENCY_MAX_BYTES": "10485760"}, 10 << 20, 30 << 20},
		"off":           {map[string]string{"GOMEMLIMIT": "100MiB", "IDEMPOTENCY_TTL_MS": "0"}, 5 << 20, 40 << 20},
		"and all three": {map[string]string{"IDEMPOTENCY_MAX_BYTES": "4096", "IDEMPOTENCY_MAX_ENTRIES": "7", "IDEMPOTENCY_TTL_MS": "1000"}, 4096, 0},
	} {
		cfg, err := Load(c.environ)
		require.NoError(t, err, name)
		limits := cfg.MemoryOptions().Requests
		assert.Equal(t, c.requests, limits.Bytes, name)
		assert.Equal(t, c.sessions, cfg.Store.MaxMemoryBytes, name)
		assert.Equal(t, limits, cfg.BoltOptions().Memory.Requests, name)
		if name == "and all three" {
			assert.Equal(t, 7, limits.Entries)
			assert.Equal(t, time.Second, cfg.Idempotency.TTL)
		} else {
			assert.Equal(t, 100_000, limits.Entries)
		}
	}
	_, err := Load(map[string]string{"IDEMPOTENCY_TTL_MS": "-1", "IDEMPOTENCY_MAX_ENTRIES": "0", "IDEMPOTENCY_MAX_BYTES": "1"})
	for _, name := range []string{"IDEMPOTENCY_TTL_MS", "IDEMPOTENCY_MAX_ENTRIES", "IDEMPOTENCY_MAX_BYTES"} {
		require.ErrorContains(t, err, name)
	}
}

// The default is a share of what there is, unless somebody says otherwise, and it
// is what config prints.
func TestMaxMemoryBytes(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		want    int64
	}{
		"a share":         {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024"}, 1024 * 35},
		"what is set":     {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "5000000"}, 5000000},
		"off":             {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "0"}, 0},
		"empty is unset":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_MAX_MEMORY_BYTES": " "}, 1024 * 35},
		"nothing at all":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "REDIS_URL": "redis://localhost"}, 0},
		"bolt has it too": {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_DATA_DIR": t.TempDir()}, 1024 * 35},
	} {
		cfg, err := Load(c.environ)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, cfg.Store.MaxMemoryBytes, name)
		assert.Contains(t, cfg.Print(), "SESSION_MAX_MEMORY_BYTES="+strconv.FormatInt(c.want, 10)+"\n", name)
	}
}

func TestMaxBodyMemory(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		want    int64
	}{
		"little memory":    {map[string]string{"GOMEMLIMIT": "80MiB"}, 10 << 20},
		"very little":      {map[string]string{"GOMEMLIMIT": "1MiB"}, 2 << 20},
		"what is set":      {map[string]string{"GOMEMLIMIT": "80MiB", "MAX_BODY_MEMORY_BYTES": "33554432"}, 32 << 20},
		"and Redis has it": {map[string]string{"GOMEMLIMIT": "80MiB", "REDIS_URL": "redis://localhost"}, 10 << 20},
	} {
		cfg, err := Load(c.environ)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, cfg.HTTP.MaxBodyMemory, name)
	}
}

func TestReserveNeedsServiceTokens(t *testing.T) {
	cfg, err := Load(map[string]string{"SESSION_USER_RESERVE_PERCENT": "20"})
	require.NoError(t, err)
	assert.Zero(t, cfg.MemoryOptions().Reserve)
	cfg, err = Load(map[string]string{"SESSION_USER_RESERVE_PERCENT": "20", "SERVICE_TOKENS": "one"})
	require.NoError(t, err)
	assert.Equal(t, 20, cfg.MemoryOptions().Reserve)
}
