package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/servicetest"
	"session-api/internal/store/redis/redistest"
)

// cleaned runs the cleanup of a service, and returns the status or code of the
// answer with what /stats says afterwards.
func cleaned(t *testing.T, url string) (status int, code, stats string) {
	t.Helper()
	resp := do(t, http.MethodPost, url+"/api/cleanup", nil, "")
	var problem struct{ Code string }
	require.NoError(t, json.Unmarshal([]byte(resp.body), &problem))
	var counters struct{ Cleanup struct{ Status string } }
	require.NoError(t, json.Unmarshal([]byte(do(t, http.MethodGet, url+"/stats", nil, "").body), &counters))
	return resp.status, problem.Code, counters.Cleanup.Status
}

// Services with different stores do not delete each other's files; instances
// that share one do share the directory; and an operator can hand it over.
func TestServicesOnOneDirectory(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	data := filepath.Join(t.TempDir(), "data")
	common := []string{"ANALYSIS_TMP_DIR", dir, "FILE_GRACE_MS", "0", "SESSION_SECRET", "a-secret-of-the-test-that-is-32-bytes"}
	inRedis := append([]string{"REDIS_URL", server.URL()}, common...)
	inFile := append([]string{"SESSION_DATA_DIR", data}, common...)
	file := filepath.Join(dir, "stray")
	leave := func() { t.Helper(); require.NoError(t, os.WriteFile(file, []byte("content"), 0o600)) }

	one := start(t, servicetest.Environment(t, inRedis...))
	other := start(t, servicetest.Environment(t, inRedis...))
	for _, s := range []*running{one, other} {
		leave()
		status, _, stats := cleaned(t, s.url(""))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "ready", stats)
		assert.NoFileExists(t, file)
	}
	leave()
	for _, environ := range [][]string{common, inFile} {
		foreign := start(t, servicetest.Environment(t, environ...))
		status, code, stats := cleaned(t, foreign.url(""))
		assert.Equal(t, http.StatusConflict, status)
		assert.Equal(t, "cleanup_other_store", code)
		assert.Equal(t, "other_store", stats)
		assert.FileExists(t, file)
		assert.Contains(t, foreign.log.String(), "analysis files are not cleaned")
		assert.Contains(t, foreign.log.String(), "session-api cleanup adopt")
	}

	durable := start(t, servicetest.Environment(t, append([]string{"SESSION_DATA_DIR", data + "2"}, common...)...))
	var out, errOut bytes.Buffer
	environ := servicetest.Environment(t, append([]string{"SESSION_DATA_DIR", data + "2"}, common...)...)
	require.Equal(t, 0, run(t.Context(), []string{"cleanup", "adopt", dir}, environ, &out, &errOut), errOut.String())
	assert.Contains(t, out.String(), dir)
	status, _, _ := cleaned(t, durable.url(""))
	assert.Equal(t, http.StatusOK, status)
	assert.NoFileExists(t, file)
	status, code, _ := cleaned(t, one.url(""))
	assert.Equal(t, http.StatusConflict, status)
	assert.Equal(t, "cleanup_other_store", code)

	away := dir + ".away"
	require.NoError(t, os.Rename(dir, away))
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(away)) })
	status, code, stats := cleaned(t, durable.url(""))
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Equal(t, "cleanup_unavailable", code)
	assert.Equal(t, "unavailable", stats)
}

// A directory that may hold what is not ours refuses the start, with the command
// that adopts it.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))
	environ := servicetest.Environment(t, "ANALYSIS_TMP_DIR", dir)
	_, err := config.Load(environ)
	require.ErrorContains(t, err, "session-api cleanup adopt "+dir)

	var out, errOut bytes.Buffer
	for _, wrong := range [][]string{{"cleanup"}, {"cleanup", "adapt"}, {"cleanup", "adopt", dir, "more"}, {"cleanup", "-x"}} {
		assert.Equal(t, 2, run(t.Context(), wrong, environ, &out, &errOut), "%q", wrong)
	}
	assert.Equal(t, 0, run(t.Context(), []string{"cleanup", "-h"}, environ, &out, &errOut))
	for _, wrong := range []string{"/", mine, filepath.Join(dir, "missing"), os.TempDir()} {
		assert.Equal(t, 1, run(t.Context(), []string{"cleanup", "adopt", wrong}, environ, &out, &errOut), wrong)
	}
	_, err = config.Load(environ)
	require.Error(t, err)

	assert.Equal(t, 0, run(t.Context(), []string{"cleanup", "adopt"}, environ, &out, &errOut), errOut.String())
	_, err = config.Load(environ)
	require.NoError(t, err)
	assert.FileExists(t, mine)
}

// What the service needs may not lie where it deletes files, whatever leads
// there.
func TestOwnFilesInTheAnalysisDirectory(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "files")
	require.NoError(t, os.Mkdir(dir, 0o700))
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("a-secret-of-the-test-that-is-32-bytes"), 0o600))
	link := filepath.Join(top, "link")
	require.NoError(t, os.Symlink(dir, link))
	var out, errOut bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"cleanup", "adopt", dir}, servicetest.Environment(t), &out, &errOut), errOut.String())

	for _, tt := range []struct{ name, path string }{
		{"SESSION_SECRET_FILE", secret},
		{"SESSION_SECRET_FILE", filepath.Join(link, "secret")},
		{"SERVICE_TOKENS_FILE", filepath.Join(link, "secret")},
		{"SESSION_DATA_DIR", link},
		{"SESSION_DATA_DIR", filepath.Join(link, "data")},
		{"REDIS_PASSWORD_FILE", secret},
		{"REDIS_TLS_CA_FILE", filepath.Join(link, "secret")},
	} {
		more := []string{"ANALYSIS_TMP_DIR", dir, tt.name, tt.path}
		if tt.name[:5] == "REDIS" {
			more = append(more, "REDIS_HOST", "localhost", "REDIS_TLS", "true")
		}
		_, err := config.Load(servicetest.Environment(t, more...))
		require.ErrorContains(t, err, tt.name+": ", tt.path)
		require.ErrorContains(t, err, "is within ANALYSIS_TMP_DIR", tt.path)
	}
}
