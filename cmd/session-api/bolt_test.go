package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onData returns the environment of a service that keeps its sessions in a
// directory.
func onData(t *testing.T, dir string, more ...string) map[string]string {
	t.Helper()
	return servicetest.Environment(t, append([]string{"SESSION_DATA_DIR", dir, "SESSION_SECRET", servicetest.SessionSecret}, more...)...)
}

// runOnce runs a command to its end.
func runOnce(t *testing.T, environ map[string]string, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, environ, &o, &e)
	return status, o.String(), e.String()
}

func TestBolt_sessionsOutliveTheProcess(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			environ := onData(t, dir, "SESSION_SYNC", sync)
			s := start(t, environ)
			created := do(t, http.MethodPost, s.url("/api/session"), nil, "")
			require.Equal(t, http.StatusCreated, created.status)
			cookie, _, _ := strings.Cut(created.header.Get("Set-Cookie"), ";")
			header := http.Header{"Cookie": {cookie}, "Content-Type": {"application/json"}}
			patched := do(t, http.MethodPatch, s.url("/api/session"), header, `{"inputs":{"a":1}}`)
			require.Equal(t, http.StatusOK, patched.status, patched.body)
			assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"store":"bolt"`)

			status, _, errOut := runOnce(t, environ, "check")
			assert.Equal(t, 1, status)
			assert.Contains(t, errOut, "another process uses it")
			status, _, errOut = runOnce(t, onData(t, dir))
			assert.Equal(t, 1, status)
			assert.Contains(t, errOut, "each instance needs a directory of its own")
			require.Zero(t, s.end(t))

			status, out, errOut := runOnce(t, environ, "check")
			require.Zero(t, status, errOut)
			assert.Contains(t, out, filepath.Join(dir, "sessions.db")+" is in order")
			assert.Contains(t, out, "1 session, 0 more expired")
			s = start(t, environ)
			got := do(t, http.MethodGet, s.url("/api/session?touch=false"), header, "")
			assert.Equal(t, http.StatusOK, got.status)
			assert.Equal(t, patched.header.Get("ETag"), got.header.Get("ETag"))
			assert.Contains(t, got.body, `"inputs":{"a":1}`)
			require.Zero(t, s.end(t))

			status, out, errOut = runOnce(t, environ, "export")
			require.Zero(t, status, errOut)
			assert.Contains(t, out, `"inputs":{"a":1}`)
		})
	}
}

// Whoever reads the data file sees the sessions, and nothing that opens one.
func TestBolt_filesHoldNoCredential(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, onData(t, dir))
	const key = "an-idempotency-key-of-36-characters-1"
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	created := do(t, http.MethodPost, s.url("/api/session?transport=bearer"), header, `{"meta":{"word":"findable"}}`)
	require.Equal(t, http.StatusCreated, created.status, created.body)
	var answer struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(created.body), &answer))
	_, signature, _ := strings.Cut(answer.Token, ".")
	require.Len(t, signature, 43)
	require.Zero(t, s.end(t))

	var all []byte
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "others cannot read %s", entry.Name())
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		all = append(all, content...)
	}
	require.Contains(t, string(all), "findable")
	for _, secret := range []string{signature, url.QueryEscape(signature), key, servicetest.SessionSecret} {
		assert.NotContains(t, string(all), secret)
	}
}

func TestCheck_damagedFile(t *testing.T) {
	dir := t.TempDir()
	require.Zero(t, start(t, onData(t, dir)).end(t))
	file := filepath.Join(dir, "sessions.db")
	require.NoError(t, os.Truncate(file, 5000))

	status, _, errOut := runOnce(t, onData(t, dir))
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "SESSION_DATA_DIR: data directory "+dir+": the data file is damaged")
	assert.Contains(t, errOut, "session-api check -move-aside")
	status, _, errOut = runOnce(t, onData(t, dir), "check")
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "check: "+file+": the data file is damaged")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.EqualValues(t, 5000, info.Size(), "nothing has been written")

	status, out, errOut := runOnce(t, nil, "check", "-move-aside", dir)
	require.Zero(t, status, errOut)
	moved, err := filepath.Glob(file + ".damaged-*")
	require.NoError(t, err)
	require.Len(t, moved, 1)
	assert.Contains(t, out, "It is "+moved[0]+" now.")
	require.Zero(t, start(t, onData(t, dir)).end(t))

	status, out, errOut = runOnce(t, nil, "check", "-move-aside", dir)
	require.Zero(t, status, errOut)
	assert.Contains(t, out, "is in order", "one that is in order stays where it is")
	require.FileExists(t, file)
}

func TestCheck_usage(t *testing.T) {
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"check":              {2, "name a directory"},
		"check a b":          {2, `unknown argument "b"`},
		"check -force a":     {2, "-force"},
		"check /nonexistent": {1, "there is no data file"},
		"check -h":           {0, "Usage: session-api check [-move-aside] [DIR]"},
	} {
		t.Run(args, func(t *testing.T) {
			status, out, errOut := runOnce(t, map[string]string{}, strings.Fields(args)...)
			assert.Equal(t, want.status, status)
			assert.Contains(t, out+errOut, want.says)
		})
	}
}

func TestBoltConfig_unusableDirectory(t *testing.T) {
	var out, errOut bytes.Buffer
	below := filepath.Join(servicetest.SecretFile(t, "x"), "data")
	assert.Equal(t, 1, run(t.Context(), nil, servicetest.Environment(t, "SESSION_DATA_DIR", below), &out, &errOut))
	assert.Contains(t, errOut.String(), "SESSION_DATA_DIR: data directory "+below)
}
