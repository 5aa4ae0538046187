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

// PowerShell's > writes UTF-16: the secret would be another than the one that the
// same file gives elsewhere.
func TestSecretFilesInUTF16(t *testing.T) {
	utf16 := func(mark string, low, high func(byte) string) string {
		text := mark
		for i := range len(servicetest.SessionSecret) {
			text += low(servicetest.SessionSecret[i]) + high(servicetest.SessionSecret[i])
		}
		return text
	}
	char, zero := func(c byte) string { return string(rune(c)) }, func(byte) string { return "\x00" }
	for _, text := range []string{
		utf16("\xFF\xFE", char, zero), utf16("\xFE\xFF", zero, char), utf16("", char, zero), utf16("\xFF\xFE", char, zero) + "\r\x00\n\x00",
	} {
		file := servicetest.SecretFile(t, text)
		for _, name := range []string{"SESSION_SECRET", "SERVICE_TOKENS"} {
			_, err := Load(servicetest.Production(t, name, "", name+"_FILE", file))
			require.ErrorContains(t, err, name+": number 1 of ")
			require.ErrorContains(t, err, "UTF-16")
		}
		_, err := Load(servicetest.Environment(t, "REDIS_HOST", "localhost", "REDIS_PASSWORD_FILE", file))
		require.ErrorContains(t, err, "UTF-16")
	}
}

// A password that was put where none belongs is not repeated.
func TestProblemsQuoteNoPasswords(t *testing.T) {
	for _, name := range []string{"ALLOWED_ORIGINS", "TRUSTED_PROXIES", "ALLOWED_HOSTS", "REDIS_HOST", "REDIS_CLUSTER", "REDIS_SENTINELS", "COOKIE_DOMAIN", "HOST", "PORT"} {
		for _, value := range []string{"https://user:hunter2@example.com", "user:hunter2@example.com", "redis://:hun/ter2@example.com:1", "https://user:hunter2:@b@example.com/"} {
			_, err := Load(servicetest.Environment(t, name, value))
			if err == nil {
				continue // what takes any text shows it to nobody
			}
			assert.NotContains(t, err.Error(), "ter2", name)
			assert.Contains(t, err.Error(), name)
		}
	}
	_, err := Load(servicetest.Environment(t, "ALLOWED_ORIGINS", "https://user:hunter2@example.com"))
	require.ErrorContains(t, err, `"https://***@example.com": it is not an origin`)
}
