package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/servicetest"
	"session-api/internal/token"
)

// newToken runs token new, and returns the token and the line.
func newToken(t *testing.T, args ...string) (secret, line string) {
	t.Helper()
	status, out, errOut := runOnce(t, nil, append([]string{"token", "new"}, args...)...)
	require.Zero(t, status, errOut)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 3, out)
	require.Empty(t, lines[2])
	assert.NotContains(t, errOut, lines[0])
	return lines[0], lines[1]
}

func TestToken_new(t *testing.T) {
	secret, line := newToken(t, "--name", "billing", "--scope", "read", "--namespace", "shop", "--expires", "90d", "--cidr", "10.1.2.3/8,::1")
	require.NoError(t, token.CheckServiceSecret(secret))
	assert.Regexp(t, `^name=billing scope=read namespace=shop expires=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ cidr=10\.0\.0\.0/8,::1/128 sha256=[0-9a-f]{64}$`, line)
	made, err := config.ParseServiceToken(line)
	require.NoError(t, err)
	assert.Equal(t, token.Sum(secret), made.Sum)
	assert.WithinDuration(t, time.Now().Add(90*24*time.Hour), made.Expires, time.Hour)

	other, line := newToken(t, "-name=a", "-scope=read,admin")
	assert.NotEqual(t, secret, other)
	assert.Regexp(t, `^name=a scope=admin sha256=[0-9a-f]{64}$`, line)
}

func TestToken_usage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"token"}, "say new or check"},
		{[]string{"token", "make"}, "say new or check"},
		{[]string{"token", "check", "sat_x"}, "standard input"},
		{[]string{"token", "new"}, "name is missing; scope is missing"},
		{[]string{"token", "new", "-name", "a", "-scope", "root"}, "scope is read, write or admin"},
		{[]string{"token", "new", "-name", "a scope=admin", "-scope", "read"}, "name has a space"},
		{[]string{"token", "new", "-name", "default-1", "-scope", "read"}, "names such as default-1"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "-expires", "soon"}, "neither a number of days"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "-expires", "99999d"}, "no number of days"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "-expires", "-1h"}, "not in the future"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "-expires", "2001-01-01T00:00:00Z"}, "not in the future"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "-cidr", "0.0.0.0/0"}, "cidr is"},
		{[]string{"token", "new", "-name", "a", "-scope", "read", "more"}, "unknown argument"},
		{[]string{"token", "new", "-size", "1"}, "not defined"},
	} {
		status, out, errOut := runOnce(t, nil, tc.args...)
		assert.Equal(t, 2, status, tc.args)
		assert.Contains(t, errOut, tc.says)
		assert.NotContains(t, out, "sat_")
	}
	for _, args := range [][]string{{"token", "-h"}, {"token", "new", "-h"}} {
		status, out, _ := runOnce(t, nil, args...)
		assert.Zero(t, status)
		assert.Contains(t, out, "Usage: session-api token new")
	}
}

func TestExpiryOf(t *testing.T) {
	now := time.Date(2026, 11, 29, 17, 4, 5, 999, time.UTC)
	for said, want := range map[string]string{
		"": "", "1d": "2026-11-30T17:04:05Z", "90m": "2026-11-29T18:34:05Z", "2027-01-01T01:00:00+01:00": "2027-01-01T00:00:00Z",
	} {
		got, err := expiryOf(said, now)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, said := range []string{"d", "0d", "-3d", "1.5d", "1", "36501d", "2026-11-29T17:04:05Z"} {
		_, err := expiryOf(said, now)
		require.Error(t, err, said)
	}
}

func TestToken_check(t *testing.T) {
	check := func(text string) (string, error) {
		var out, errOut bytes.Buffer
		err := serviceToken([]string{"check"}, streams{strings.NewReader(text), &out, &errOut})
		return out.String(), err
	}
	secret, line := newToken(t, "-name", "a", "-scope", "read")
	for _, end := range []string{"", "\n", "\r\n", "\nmore"} {
		out, err := check(secret + end)
		require.NoError(t, err)
		assert.Contains(t, line, strings.TrimSpace(out), "its line is found by it")
	}
	for _, wrong := range []string{"", "\n", secret[:50], strings.ToUpper(secret), " " + secret, strings.Repeat("x", 1<<20)} {
		out, err := check(wrong)
		require.Error(t, err)
		assert.Empty(t, out)
		assert.NotContains(t, err.Error(), secret[4:20])
	}
}

// A token that token new made is let in by its line, until the line is gone: then its
// open stream ends as well.
func tokensByLines(t *testing.T, path string) {
	t.Helper()
	billing, billingLine := newToken(t, "-name", "billing", "-scope", "read", "-expires", "90d")
	old, oldLine := newToken(t, "-name", "old", "-scope", "admin", "-expires", "24h")
	file := servicetest.SecretFile(t, "# tokens\n"+billingLine+"\n"+oldLine+"\n")
	p := launch(t, path, servicetest.Production(t, "SERVICE_TOKENS_FILE", file))
	ask := func(method, path, token string) int {
		return do(t, method, "http://"+p.addr+path, http.Header{"Authorization": {"Bearer " + token}}, "").status
	}
	assert.Equal(t, "old", p.log.wait(t, "service token expires soon")["name"])
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/sessions", billing))
	assert.Equal(t, http.StatusForbidden, ask(http.MethodPost, "/api/cleanup", billing))
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/sessions", old))
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/sessions", servicetest.Token), "SERVICE_TOKENS adds to the file")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/api/events", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+old)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)

	require.NoError(t, os.WriteFile(file, []byte(billingLine+"\nname=old"), 0o600))
	p.signal(t, syscall.SIGHUP)
	refused := p.log.wait(t, "secrets not reloaded, the previous ones remain in use")
	assert.Contains(t, refused["error"], "line 2: scope is missing")
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/sessions", old))

	require.NoError(t, os.WriteFile(file, []byte(billingLine+"\n"), 0o600))
	p.signal(t, syscall.SIGHUP)
	assert.EqualValues(t, 2, p.log.wait(t, "secrets reloaded")["serviceTokens"])
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); { // to its end
		assert.NotContains(t, lines.Text(), "event:")
	}
	require.NoError(t, ctx.Err(), "the stream has ended by itself")
	assert.Equal(t, http.StatusUnauthorized, ask(http.MethodGet, "/api/sessions", old))
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/sessions", billing))
	for _, secret := range []string{billing, old} {
		assert.NotContains(t, p.log.String(), secret)
	}
}

// A backup takes a secret that it can send.
func TestBackup_withoutAServiceSecret(t *testing.T) {
	_, line := newToken(t, "-name", "hashed", "-scope", "admin")
	file := servicetest.SecretFile(t, line)
	status, _, errOut := runOnce(t, map[string]string{"SERVICE_TOKENS_FILE": file}, "backup", "-url", "http://127.0.0.1:1", "-")
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "no service token of the settings can be sent")
}
