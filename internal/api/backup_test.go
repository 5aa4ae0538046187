package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/transfer"
)

// records are what a backup holds, checked.
func recordsOf(t *testing.T, backup string) (head transfer.BackupHead, lines []string) {
	t.Helper()
	b, err := transfer.NewBackupReader(strings.NewReader(backup), 1<<20)
	require.NoError(t, err)
	for {
		line, err := b.Next()
		if errors.Is(err, io.EOF) {
			return b.Head, lines
		}
		require.NoError(t, err)
		lines = append(lines, string(line))
	}
}

func TestBackup(t *testing.T) {
	s := start(t, func(set *settings) { set.Secrets.Service = services(serviceToken) })
	auth := []string{"Authorization", "Bearer " + serviceToken}
	s.client().do("GET", "/api/backup", "").problem(http.StatusUnauthorized, "unauthorized")
	head, lines := recordsOf(t, string(s.client().do("GET", "/api/backup", "", auth...).expect(http.StatusOK).body))
	assert.Empty(t, lines)
	assert.Equal(t, "memory", head.Store)
	assert.True(t, head.TakenAt.Equal(s.clock.Now()))

	s.keep("shop", 30)
	s.keep("default", 12)
	backup := string(s.client().do("GET", "/api/backup", "", auth...).expect(http.StatusOK).body)
	head, lines = recordsOf(t, backup)
	assert.Equal(t, 42, head.Sessions)
	export := strings.Split(strings.TrimSuffix(string(s.client().do("GET", "/api/export", "", auth...).expect(http.StatusOK).body), "\n"), "\n")
	assert.ElementsMatch(t, export, lines)
	assert.Empty(t, s.client().do("HEAD", "/api/backup", "", auth...).expect(http.StatusOK).body)

	there := start(t)
	assert.Equal(t, moved(42, 0, 0, 0), string(there.importing(backup).expect(http.StatusOK).body))
}

// notSnapshotted is a store that cannot tell what it holds at one moment.
type notSnapshotted struct{ backend.Store }

func TestBackup_unsupported(t *testing.T) {
	s := start(t, func(set *settings) { set.store = notSnapshotted{set.store} })
	s.client().do("GET", "/api/backup", "").problem(http.StatusNotImplemented, "backup_unsupported")
	assert.NotContains(t, s.log.String(), "request failed", "it is nobody's failure")
}

// One backup is sent at a time, and one whose reader stalls is given up.
func TestBackup_oneAtATime(t *testing.T) {
	s := start(t, func(set *settings) { set.BackupRate = 1 })
	s.keep("shop", 400) // more than is written at a time
	srv := httptest.NewUnstartedServer(s.api)
	srv.Start()
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/backup", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	first := bufio.NewReader(resp.Body)
	line, err := first.ReadBytes('\n')
	require.NoError(t, err)
	require.True(t, json.Valid(line))
	s.client().do("GET", "/api/backup", "").problem(http.StatusConflict, "backup_running")
	cancel()
	_ = resp.Body.Close()
	s.until("it is cut off", func() bool { return strings.Contains(s.log.String(), `"msg":"backup cut off"`) })
}

func TestBackup_stalledReader(t *testing.T) {
	s := start(t)
	sec := schema.EmptySections()
	sec.Inputs = []byte(`{"text":"` + strings.Repeat("x", 1_000_000) + `"}`)
	for n := range 40 { // more than the kernel takes for a reader that does not read
		sess, err := new(schema.Rules).Build(schema.Session{
			Namespace: "shop", ID: fmt.Sprintf("large-session-%04d", n), CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now(),
			Revision: 1, TTL: time.Hour, ExpiresAt: s.clock.Now().Add(time.Hour),
		}, sec)
		require.NoError(t, err)
		require.NoError(t, s.store.Create(t.Context(), s.clock.Now(), sess))
	}
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.WriteTimeout = 100 * time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /api/backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	s.until("it is cut off", func() bool { return strings.Contains(s.log.String(), `"msg":"backup cut off"`) })
}
