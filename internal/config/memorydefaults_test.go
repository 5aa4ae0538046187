package config

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/memlimit"
)

func TestSessionBytes(t *testing.T) {
	const mib = 1 << 20
	assert.Zero(t, sessionBytes(memlimit.Limit{}, mib))
	assert.EqualValues(t, 100*mib/100*40, sessionBytes(memlimit.Limit{Bytes: 100 * mib}, mib))
	assert.EqualValues(t, 2*mib, sessionBytes(memlimit.Limit{Bytes: mib}, mib), "the largest session fits")
}

// The default is a share of what there is, unless somebody says otherwise, and it
// is what config prints.
func TestMaxMemoryBytes(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		want    int64
	}{
		"a share":         {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024"}, 1024 * 40},
		"what is set":     {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "5000000"}, 5000000},
		"off":             {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "0"}, 0},
		"empty is unset":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_MAX_MEMORY_BYTES": " "}, 1024 * 40},
		"nothing at all":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "REDIS_URL": "redis://localhost"}, 0},
		"bolt has it too": {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_DATA_DIR": t.TempDir()}, 1024 * 40},
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
