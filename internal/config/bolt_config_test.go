package config

import (
	"testing"
	"time"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBoltConfig_whatSelectsIt(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ environ, store string }{
		{"SESSION_SYNC=interval", "memory"},
		{"SESSION_DATA_DIR=" + dir, "bolt"},
		{"SESSION_STORE=auto SESSION_DATA_DIR=" + dir + "/new", "bolt"},
		{"SESSION_STORE=bolt SESSION_DATA_DIR=" + dir, "bolt"},
		{"SESSION_STORE=memory SESSION_DATA_DIR=relative", "memory"},
		{"SESSION_STORE=redis REDIS_HOST=a SESSION_DATA_DIR=" + dir, "redis"},
		{"SESSION_STORE=bolt REDIS_HOST=a SESSION_DATA_DIR=" + dir, "bolt"},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			c, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			require.NoError(t, err)
			assert.Equal(t, tc.store, c.Store.Kind)
			assert.Equal(t, time.Second, c.Store.SyncInterval)
		})
	}
}

func TestBoltConfig_refuses(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ environ, blames, says string }{
		{"SESSION_STORE=bolt", "SESSION_DATA_DIR", "needs a directory"},
		{"SESSION_DATA_DIR=data", "SESSION_DATA_DIR", `"data" is not an absolute path`},
		{"SESSION_DATA_DIR=" + servicetest.SecretFile(t, "x"), "SESSION_DATA_DIR", "is not a directory"},
		{"SESSION_DATA_DIR=" + dir + "/data ANALYSIS_TMP_DIR=" + dir, "SESSION_DATA_DIR", "within ANALYSIS_TMP_DIR"},
		{"SESSION_DATA_DIR=" + dir + " ANALYSIS_TMP_DIR=" + dir, "SESSION_DATA_DIR", "within ANALYSIS_TMP_DIR"},
		{"SESSION_DATA_DIR=" + dir + " REDIS_URL=redis://a", "SESSION_STORE", "SESSION_DATA_DIR and REDIS_URL are both set"},
		{"SESSION_DATA_DIR=" + dir + " SESSION_SYNC=never", "SESSION_SYNC", "not one of always, interval"},
		{"SESSION_DATA_DIR=" + dir + " SESSION_SYNC_INTERVAL_MS=0", "SESSION_SYNC_INTERVAL_MS", "0 is not between 1"},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			_, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1, "%v", found)
			assert.Equal(t, tc.blames, found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
		})
	}
}
