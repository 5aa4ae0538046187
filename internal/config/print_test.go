package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentation_isUpToDate(t *testing.T) {
	written, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err, "run make docs")
	assert.Equal(t, Markdown(), string(written), "run make docs")
}

func TestDocumentation_saysSomethingOfEverySetting(t *testing.T) {
	for _, s := range settings() {
		assert.NotEmpty(t, s.doc, s.name)
		assert.NotEqual(t, "text", s.documentedValues(), s.name)
		assert.NotContains(t, s.doc+s.values+s.shown, "|", "%s: it would end the table's cell", s.name)
	}
}

// The example names every setting, in order, with its default.
func TestExampleEnvironment(t *testing.T) {
	content, err := os.ReadFile("../../.env.example")
	require.NoError(t, err)
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]*=.*)$`).FindAllStringSubmatch(string(content), -1) {
		named = append(named, m[1])
	}
	var known []string
	for _, s := range settings() {
		known = append(known, s.name+"="+s.fallback)
	}
	assert.Equal(t, known, named)
}

func TestPrintHidesPasswordsOfURLs(t *testing.T) {
	for given, want := range map[string]string{
		"http://user:hunter2@collector:4318": "http://user:***@collector:4318",
		"https://hunter2@collector":          "https://***@collector",
		"http://collector:4318/a@b":          "http://collector:4318/a@b",
		"http://user:hunter2@bad host%zz":    "***",
		"validator_session_id":               "validator_session_id",
	} {
		assert.Equal(t, want, show(given))
		assert.Equal(t, "x,"+want, show([]string{"x", given}))
	}
}

func TestSecretFilesThatEverybodyReads(t *testing.T) {
	file := servicetest.SecretFile(t, servicetest.SessionSecret)
	c, err := Load(servicetest.Environment(t, "SESSION_SECRET_FILE", file))
	require.NoError(t, err)
	assert.Empty(t, c.ReadableSecretFiles())
	require.NoError(t, os.Chmod(file, 0o644))
	assert.Equal(t, []string{"SESSION_SECRET_FILE"}, c.ReadableSecretFiles())
}

// What is printed of a value is what its variable takes.
func TestPrint_readsBack(t *testing.T) {
	for name, values := range map[string][]string{
		"ACCESS_LOG":              {"all", "errors", "sample:3"},
		"LOG_LEVEL":               {"debug", "info", "warn", "error"},
		"COOKIE_SAMESITE":         {"lax", "strict"},
		"SANITIZE_INPUTS":         {"controls", "html", "off"},
		"SESSION_EVICTION_POLICY": {"lru", "ttl", "none"},
		"REDIS_TIMEOUT_MS":        {"2000", "1"},
		"TRUSTED_PROXIES":         {"10.0.0.0/8,192.0.2.1/32"},
	} {
		for _, value := range values {
			c, err := Load(servicetest.Environment(t, name, value))
			require.NoError(t, err)
			assert.Contains(t, c.Print(), "\n"+name+"="+value+"\n")
		}
	}
	c, err := Load(servicetest.Environment(t, "OTEL_EXPORTER_OTLP_HEADERS", "key=hunter2"))
	require.NoError(t, err)
	assert.Equal(t, "hunter2", c.Tracing.Headers.Values.Get("key"))
	assert.Contains(t, c.Print(), "\nOTEL_EXPORTER_OTLP_HEADERS=***\n")
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c.Tracing), "hunter2")
}

func TestReadableKeys(t *testing.T) {
	c := Config{Redis: Redis{TLSKeyFile: filepath.Join(t.TempDir(), "key")}}
	require.NoError(t, os.WriteFile(c.Redis.TLSKeyFile, nil, 0o600))
	assert.Empty(t, c.ReadableSecretFiles())
	require.NoError(t, os.Chmod(c.Redis.TLSKeyFile, 0o644))
	assert.Equal(t, []string{"REDIS_TLS_KEY_FILE"}, c.ReadableSecretFiles())
}
