package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is wrong with the data file is said where an operator looks: in /stats, in
// /metrics and, once it lasts, by /readyz. When it is mended, everything goes on, and
// what was acknowledged before and after is there after the next start.
func TestBolt_dataFileThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, onData(t, dir, "SESSION_DATA_UNREADY_MS", "200"))
	create := func() (http.Header, int) {
		created := do(t, http.MethodPost, s.url("/api/session"), nil, "")
		cookie, _, _ := strings.Cut(created.header.Get("Set-Cookie"), ";")
		return http.Header{"Cookie": {cookie}}, created.status
	}
	become := func(path string, status int) {
		t.Helper()
		require.Eventually(t, func() bool { return do(t, http.MethodGet, s.url(path), nil, "").status == status },
			20*time.Second, 20*time.Millisecond, "%s: %d", path, status)
	}
	before, status := create()
	require.Equal(t, http.StatusCreated, status)
	assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"file":{"writable":true,"state":"writable",`)
	figures := do(t, http.MethodGet, s.url("/metrics"), nil, "").body
	for _, series := range []string{
		"writable 1", "commit_failures_total 0", "commit_seconds_count ", "commit_seconds_bucket{le=\"0.001\"} ",
		"bytes ", "free_bytes ", "live_bytes ", "volume_free_bytes ", "last_commit_age_seconds ",
	} {
		assert.Contains(t, figures, "\nsession_api_data_file_"+series)
	}
	become("/readyz", http.StatusOK)

	require.NoError(t, os.Rename(dir, dir+".moved"))
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // so that it cannot be put back
	_, status = create()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/api/session"), before, "").status, "reads go on")
	stats := do(t, http.MethodGet, s.url("/stats"), nil, "").body
	assert.Contains(t, stats, `"file":{"writable":false,"state":"the data file cannot be written`)
	assert.Contains(t, do(t, http.MethodGet, s.url("/metrics"), nil, "").body, "\nsession_api_data_file_writable 0\n")
	become("/readyz", http.StatusServiceUnavailable)
	assert.Contains(t, do(t, http.MethodGet, s.url("/readyz"), nil, "").body, "The data file cannot be written.")

	require.NoError(t, os.Remove(dir))
	become("/readyz", http.StatusOK)
	after, status := create()
	require.Equal(t, http.StatusCreated, status)
	require.Zero(t, s.end(t))
	s = start(t, onData(t, dir))
	for _, cookie := range []http.Header{before, after} {
		require.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/api/session"), cookie, "").status)
	}
	require.Zero(t, s.end(t))
}
