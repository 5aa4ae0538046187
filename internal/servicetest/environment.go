package servicetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values of secrets, long enough for production.
const (
	SessionSecret = "first-session-secret-of-the-tests"
	OtherSecret   = "other-session-secret-of-the-tests"
	Token         = "the-service-token-of-all-the-tests"
)

// Environment is the pairs on top of what every test of a server sets: any
// free port, and a directory of its own.
func Environment(t testing.TB, pairs ...string) map[string]string {
	t.Helper()
	environ := map[string]string{
		"PORT": "0", "ANALYSIS_TMP_DIR": t.TempDir(),
		// On a busy machine, a client may take seconds to send what it has connected for.
		"READ_HEADER_TIMEOUT_MS": "60000",
	}
	require.Zero(t, len(pairs)%2)
	for i := 0; i < len(pairs); i += 2 {
		environ[pairs[i]] = pairs[i+1]
	}
	return environ
}

// Production is Environment in production, with the secrets that this asks for.
func Production(t testing.TB, pairs ...string) map[string]string {
	t.Helper()
	return Environment(t, append([]string{
		"APP_ENV", "production", "SESSION_SECRET", SessionSecret, "SERVICE_TOKENS", Token,
	}, pairs...)...)
}

// SecretFile writes a file and returns its path.
func SecretFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
