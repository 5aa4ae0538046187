package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secretFile writes a file and returns its path.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestSecrets_files(t *testing.T) {
	for name, content := range map[string]string{
		"one a line":      sessionSecret + "\n" + otherSecret + "\n",
		"Windows' lines":  sessionSecret + "\r\n" + otherSecret + "\r\n",
		"commas":          sessionSecret + "," + otherSecret,
		"commas and more": "\n " + sessionSecret + " ,\n" + otherSecret + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(production(t, "SESSION_SECRET", "", "SESSION_SECRET_FILE", secretFile(t, content)))
			require.NoError(t, err)
			assert.Equal(t, secrets{sessionSecret, otherSecret}, c.Secrets.Session)
		})
	}
}

func TestSecrets_badFiles(t *testing.T) {
	for _, tc := range []struct{ name, path, says string }{
		{"missing", filepath.Join(t.TempDir(), "missing"), "no such file"},
		{"empty", secretFile(t, "\n"), "empty"},
		{"a directory", t.TempDir(), "not a regular file"},
		{"too large", secretFile(t, string(bytes.Repeat([]byte("x"), maxSecretFile+1))), "larger than"},
		{"the secret itself", sessionSecret, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(production(t, "SERVICE_TOKENS", "", "SERVICE_TOKENS_FILE", tc.path))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1)
			assert.Equal(t, "SERVICE_TOKENS_FILE", found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
			assert.NotContains(t, err.Error(), sessionSecret)
		})
	}
}

func TestSecrets_fileAndValue(t *testing.T) {
	_, err := Load(production(t, "SESSION_SECRET_FILE", secretFile(t, otherSecret)))
	var found Problems
	require.ErrorAs(t, err, &found)
	require.Len(t, found, 1)
	assert.Equal(t, Problem{"SESSION_SECRET_FILE", "set either this or SESSION_SECRET, not both"}, found[0])
}

func TestSecrets_formatAsStars(t *testing.T) {
	s := secrets{sessionSecret, otherSecret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "***,***", fmt.Sprintf(verb, s), verb)
		assert.NotContains(t, fmt.Sprintf(verb, Config{Secrets: Secrets{Session: s}}), sessionSecret, verb)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secrets", s)
	assert.Contains(t, out.String(), `"***,***"`)
}
