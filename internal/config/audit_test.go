package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]config.AuditLog{
		"": {}, "off": {}, "stdout": {Stdout: true}, "file:/var/log/audit.log": {Path: "/var/log/audit.log"},
	} {
		c, err := config.Load(map[string]string{"AUDIT_LOG": value})
		require.NoError(t, err, value)
		assert.Equal(t, want, c.Audit.Log, value)
		if value != "" {
			assert.Contains(t, c.Print(), "\nAUDIT_LOG="+value+"\n")
		}
	}
	for _, value := range []string{"file:", "/var/log/audit.log", "stderr"} {
		_, err := config.Load(map[string]string{"AUDIT_LOG": value})
		assert.ErrorContains(t, err, "AUDIT_LOG: ", value)
	}
	dir := t.TempDir()
	_, err := config.Load(map[string]string{"ANALYSIS_TMP_DIR": dir, "AUDIT_LOG": "file:" + filepath.Join(dir, "audit.log")})
	assert.ErrorContains(t, err, "AUDIT_LOG: ", "the cleanup would delete it")
}

func TestNonDefault(t *testing.T) {
	t.Parallel()
	assert.Empty(t, config.NonDefault(nil))
	assert.Equal(t, []string{"PORT", "SESSION_SECRET", "AUDIT_LOG"}, config.NonDefault(map[string]string{
		"AUDIT_LOG": "stdout", "PORT": "81", "SESSION_SECRET": "anything", "SESSION_TTL_MS": "86400000", "COOKIE_NAME": " ", "UNKNOWN": "1",
	}))
}

func TestChangedSecrets(t *testing.T) {
	t.Parallel()
	secret, tokens := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "tokens")
	put := func(path, content string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	put(secret, "one")
	put(tokens, "name=kept scope=read secret=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1\nname=other scope=read secret=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2\n"+
		"name=gone scope=read secret=cccccccccccccccccccccccccccccccccc3\n")
	c, err := config.Load(map[string]string{"SESSION_SECRET_FILE": secret, "SERVICE_TOKENS_FILE": tokens})
	require.NoError(t, err)
	fresh, _, err := c.RereadSecrets()
	require.NoError(t, err)
	require.Equal(t, config.SecretsChange{}, c.ChangedSecrets(&fresh))

	put(secret, "two")
	put(tokens, "name=kept scope=read secret=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1\nname=other scope=admin secret=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2\n"+
		"name=new scope=read secret=dddddddddddddddddddddddddddddddddd4\n")
	fresh, _, err = c.RereadSecrets()
	require.NoError(t, err)
	require.Equal(t, config.SecretsChange{
		Settings: []string{"SESSION_SECRET_FILE", "SERVICE_TOKENS_FILE"}, Added: []string{"new"}, Removed: []string{"gone"}, Changed: []string{"other"},
	}, c.ChangedSecrets(&fresh))
}
