package main

import (
	"bytes"
	"strings"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigCommand(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"config"}, servicetest.Production(t,
		"SESSION_SECRET", servicetest.SessionSecret+","+servicetest.OtherSecret,
		"SESSION_ROLE_TTL_MS", "guest:2000,admin:1000",
		"TRUSTED_PROXIES", "192.0.2.1,10.0.0.0/8",
		"ALLOWED_ORIGINS", "https://a.example,https://b.example",
	), &out, &errOut)
	require.Zero(t, status, errOut.String())
	for _, line := range []string{
		"APP_ENV=production", "HOST=0.0.0.0", "PORT=0", "SESSION_SECRET=***,***", "SERVICE_TOKENS=***",
		"SESSION_ROLE_TTL_MS=admin:1000,guest:2000", "TRUSTED_PROXIES=192.0.2.1/32,10.0.0.0/8",
		"ALLOWED_ORIGINS=https://a.example,https://b.example", "COOKIE_SECURE=true", "SESSION_TTL_MS=86400000",
		"SESSION_AUTO_CREATE=false", "LOG_FORMAT=json",
	} {
		assert.Contains(t, strings.Split(out.String(), "\n"), line)
	}
	for _, secret := range []string{servicetest.SessionSecret, servicetest.OtherSecret, servicetest.Token} {
		assert.NotContains(t, out.String(), secret)
	}
}

func TestConfigCommand_invalid(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"config"}, map[string]string{"PORT": "x", "LOG_LEVEL": "y"}, &out, &errOut)
	assert.Equal(t, 1, status)
	assert.Empty(t, out.String())
	assert.Contains(t, errOut.String(), "PORT: ")
	assert.Contains(t, errOut.String(), "LOG_LEVEL: ")
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		args   string
		status int
		stdout string
		stderr string
	}{
		{"-h", 0, "Usage: session-api", ""},
		{"--help", 0, "Usage: session-api", ""},
		{"help", 0, "Usage: session-api", ""},
		{"config -h", 0, "Usage: session-api", ""},
		{"-version", 0, "session-api ", ""},
		{"version", 0, "session-api ", ""},
		{"serve", 2, "", `unknown command "serve"`},
		{"-port=1", 2, "", `unknown command "-port=1"`},
		{"version please", 2, "", "takes no arguments"},
		{"healthcheck now", 2, "", "takes no arguments"},
		{"config -yaml", 2, "", "-yaml"},
		{"config PORT", 2, "", `unknown argument "PORT"`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var out, errOut bytes.Buffer
			assert.Equal(t, tc.status, run(t.Context(), strings.Fields(tc.args), nil, &out, &errOut))
			if tc.status == 0 {
				assert.Contains(t, out.String(), tc.stdout)
				assert.Empty(t, errOut.String())
				return
			}
			assert.Empty(t, out.String())
			assert.Contains(t, errOut.String(), tc.stderr)
			assert.Contains(t, errOut.String(), "Usage: session-api")
		})
	}
}

func TestConfigCommand_hidesPasswordsOfURLs(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"config"}, servicetest.Environment(t,
		"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318", "REDIS_URL", "redis://user:hunter2@localhost:1/0"), &out, &errOut)
	require.Zero(t, status, errOut.String())
	assert.NotContains(t, out.String()+errOut.String(), "hunter2")
	assert.Contains(t, out.String(), "http://user:***@collector:4318")
}

// The settings in force stand alone on standard output, slips beside them.
func TestConfig_printNamesSlips(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"config"}, servicetest.Environment(t, "MAX_ENTRIES", "7", "session_ttl_ms", "1"), &out, &errOut)
	require.Zero(t, status, errOut.String())
	assert.Contains(t, out.String(), "SESSION_MAX_ENTRIES=10000\n")
	assert.NotContains(t, out.String(), "did you mean")
	assert.Contains(t, errOut.String(), "MAX_ENTRIES is not a setting; did you mean SESSION_MAX_ENTRIES?\n")
	assert.Contains(t, errOut.String(), "session_ttl_ms is not a setting; did you mean SESSION_TTL_MS?\n")
}
