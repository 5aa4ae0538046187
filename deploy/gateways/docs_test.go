package gateways_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the documentation shows is what is here, and what the tests run.
func TestDocumentationShowsTheseFiles(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "gateways.md"))
	require.NoError(t, err)
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	shown := 0
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		content, err := os.ReadFile(entry.Name())
		require.NoError(t, err)
		assert.Regexp(t, "(?s)\n```[a-z]+\n"+regexp.QuoteMeta(string(content))+"```\n", string(doc), "%s is not in docs/gateways.md as it is", entry.Name())
		shown++
	}
	assert.Equal(t, 5, shown)
}

// What no test can run says the same as what the tests send and expect.
func TestConfigurationsThatAreNotRun(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(content)
	}
	traefik := read("traefik-routes.yaml")
	assert.Contains(t, traefik, "authResponseHeaders: [X-Session-Id, X-User-Id, X-User-Email, X-User-Roles, X-User-Incomplete, X-Auth-Time, X-Auth-Level, X-Auth-Methods]\n")
	assert.Contains(t, traefik, "address: http://127.0.0.1:8080/api/session/verify\n")
	assert.Contains(t, traefik, "addAuthCookiesToResponse: [__Host-"+cookieName+", "+cookieName+"]\n")
	assert.NotContains(t, traefik, "trustForwardHeader")
	assert.NotContains(t, traefik, "forwardBody")
	assert.Contains(t, read("traefik.yaml"), "aliasHeadersStrategy: delete\n")

	envoy := read("envoy.yaml")
	assert.Contains(t, envoy, "path_prefix: /api/session/verify;session\n", "what TestVerifyForEnvoy sends")
	assert.Contains(t, envoy, "upgrade_type: websocket")
	assert.Contains(t, envoy, "timeout: 0.2s\n")
	assert.Contains(t, envoy, "failure_mode_allow: false\n")
	for _, name := range []string{"x-session-id", "x-user-id", "x-user-email", "x-user-roles", "x-user-incomplete", "x-auth-time", "x-auth-level", "x-auth-methods"} {
		assert.Contains(t, envoy, "- remove: "+name+"\n")
		assert.Contains(t, envoy, "- { exact: "+name+" }\n")
	}
	for _, configuration := range []string{traefik, envoy} {
		assert.Contains(t, configuration, "31536000", "HSTS")
		assert.Contains(t, strings.ToLower(configuration), "access-control-request-method")
	}
}
