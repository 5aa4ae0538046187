package api_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"session-api/internal/cleanup"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longCleanup takes its time.
type longCleanup struct {
	noCleanup
	takes time.Duration
}

func (c longCleanup) Run(ctx context.Context, dryRun bool) (cleanup.Report, error) {
	<-time.After(c.takes)
	return c.noCleanup.Run(ctx, dryRun)
}

// A directory of a million files takes longer than an answer usually may.
func TestCleanupLongerThanTheWriteTimeout(t *testing.T) {
	const timeout = 50 * time.Millisecond
	s := start(t, func(o *settings) { o.Cleaner = longCleanup{takes: 4 * timeout} })
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.WriteTimeout = timeout
	srv.Start()
	t.Cleanup(srv.Close)
	resp, err := http.Post(srv.URL+"/api/cleanup", "", http.NoBody)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, string(body), `"dryRun":false`)
}
