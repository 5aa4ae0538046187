package crash_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFullDisk fills the disk, a small one, under the service. Changes must be
// refused soon, and made again as soon as there is room; sessions can end and get
// new ids, reads go on, and so the service stays ready: nobody else has its
// sessions.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	disk := filepath.Join(w.root, "small")
	require.NoError(t, os.Mkdir(disk, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"), "a full disk takes the right to mount one")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	w.data = filepath.Join(disk, "data")
	s, url := w.serve()
	t.Cleanup(s.kill) // before the disk goes
	c := w.clients[0]
	c.url = url

	for range 3 {
		c.make(t)
		c.finish(t)
	}
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	require.NoError(t, err)
	_, err = io.Copy(ballast, zeros{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, ballast.Close())

	kept := c.live[0]
	change := func() *operation {
		next := c.fill()
		next.text = strings.Repeat("x", 100_000)
		return &operation{
			name: "put", method: http.MethodPut, path: c.pathOf(kept.key, ""), body: c.body(next, ""),
			status: http.StatusOK, on: kept, becomes: next,
		}
	}
	// try makes a change, and reports whether that succeeds.
	try := func() bool {
		op := change()
		a, err := c.ask(op.method, op.path, op.body)
		require.NoError(t, err)
		if a.status == op.status {
			c.note(op, a)
			return true
		}
		require.Equal(t, http.StatusServiceUnavailable, a.status, string(a.body))
		assert.Contains(t, string(a.body), `"code":"store_unavailable"`)
		assert.NotEmpty(t, a.header.Get("Retry-After"))
		assert.Less(t, a.got.Sub(a.sent), 2*time.Second, "refused within a second, more or less on a busy machine")
		return false
	}
	require.Eventually(t, func() bool { return !try() }, patience, time.Millisecond, "the file has no room left")
	refused := time.Now()
	for _, ask := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPost, "/api/sessions", http.StatusServiceUnavailable},
		{http.MethodPost, c.pathOf(kept.key, "/touch"), http.StatusServiceUnavailable},
		{http.MethodGet, "/readyz", http.StatusOK},
		{http.MethodGet, "/healthz", http.StatusOK},
	} {
		a := c.expect(ask.status, ask.method, ask.path, "")
		require.NotNil(t, a, w.wrong)
		assert.Less(t, a.got.Sub(a.sent), 2*time.Second, ask.path)
	}
	c.endNow(t, c.live[len(c.live)-1])
	for _, s := range c.live {
		c.verifyLive(s)
	}
	for _, user := range c.users() {
		c.verifyUser(defaultSpace, user)
	}
	w.requireRight("while the disk is full")

	require.NoError(t, os.Remove(ballast.Name()))
	require.Eventually(t, try, patience, 10*time.Millisecond, "it heals without a restart")
	t.Logf("healed within %v of being full", time.Since(refused).Round(time.Millisecond))
	c.make(t)
	c.finish(t)
	c.verify()
	w.requireRight("after it")

	s.kill()
	require.NoError(t, checkFile(w.data))
	_, url = w.serve()
	w.verify(url, crash{at: time.Now()})
	w.requireRight("after a restart")
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
