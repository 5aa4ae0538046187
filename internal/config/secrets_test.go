package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecrets_files(t *testing.T) {
	for name, content := range map[string]string{
		"one a line":      servicetest.SessionSecret + "\n" + servicetest.OtherSecret + "\n",
		"Windows' lines":  servicetest.SessionSecret + "\r\n" + servicetest.OtherSecret + "\r\n",
		"commas":          servicetest.SessionSecret + "," + servicetest.OtherSecret,
		"commas and more": "\n " + servicetest.SessionSecret + " ,\n" + servicetest.OtherSecret + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(servicetest.Production(t, "SESSION_SECRET", "", "SESSION_SECRET_FILE", servicetest.SecretFile(t, content)))
			require.NoError(t, err)
			assert.Equal(t, secrets{servicetest.SessionSecret, servicetest.OtherSecret}, c.Secrets.Session)
		})
	}
}

func TestSecrets_badFiles(t *testing.T) {
	for _, tc := range []struct{ name, path, says string }{
		{"missing", filepath.Join(t.TempDir(), "missing"), "no such file"},
		{"empty", servicetest.SecretFile(t, "\n"), "empty"},
		{"a directory", t.TempDir(), "not a regular file"},
		{"too large", servicetest.SecretFile(t, string(bytes.Repeat([]byte("x"), maxSecretFile+1))), "larger than"},
		{"the secret itself", servicetest.SessionSecret, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(servicetest.Production(t, "SERVICE_TOKENS", "", "SERVICE_TOKENS_FILE", tc.path))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1)
			assert.Equal(t, "SERVICE_TOKENS_FILE", found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
			assert.NotContains(t, err.Error(), servicetest.SessionSecret)
		})
	}
}

func TestSecrets_fileAndValue(t *testing.T) {
	_, err := Load(servicetest.Production(t, "SESSION_SECRET_FILE", servicetest.SecretFile(t, servicetest.OtherSecret)))
	var found Problems
	require.ErrorAs(t, err, &found)
	require.Len(t, found, 1)
	assert.Equal(t, Problem{"SESSION_SECRET_FILE", "set either this or SESSION_SECRET, not both"}, found[0])
}

func TestSecrets_formatAsStars(t *testing.T) {
	s := secrets{servicetest.SessionSecret, servicetest.OtherSecret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "***,***", fmt.Sprintf(verb, s), verb)
		assert.NotContains(t, fmt.Sprintf(verb, Config{Secrets: Secrets{Session: s}}), servicetest.SessionSecret, verb)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secrets", s)
	assert.Contains(t, out.String(), `"***,***"`)
}
