package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Secrets of tests, long enough for production.
const (
	sessionSecret = "first-session-secret-of-the-tests"
	otherSecret   = "other-session-secret-of-the-tests"
	serviceToken  = "the-service-token-of-all-the-tests"
)

// environment is the pairs on top of what every test of a server sets: any
// free port, and a directory of its own.
func environment(t *testing.T, pairs ...string) map[string]string {
	t.Helper()
	environ := map[string]string{"PORT": "0", "ANALYSIS_TMP_DIR": t.TempDir()}
	require.Zero(t, len(pairs)%2)
	for i := 0; i < len(pairs); i += 2 {
		environ[pairs[i]] = pairs[i+1]
	}
	return environ
}

func production(t *testing.T, pairs ...string) map[string]string {
	t.Helper()
	return environment(t, append([]string{
		"APP_ENV", "production", "SESSION_SECRET", sessionSecret, "SERVICE_TOKENS", serviceToken,
	}, pairs...)...)
}

// secretFile writes a file and returns its path.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
