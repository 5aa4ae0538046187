package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In a real browser the page shows every operation of the contract, under its
// own policy and without asking anybody else.
func TestDocsInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "the test needs Chromium: apt-get install chromium")
	s := start(t)
	doc, err := loadContract()
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var page, log bytes.Buffer
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--virtual-time-budget=20000", "--dump-dom", s.url+"/docs")
	cmd.Stdout, cmd.Stderr = &page, &log
	require.NoError(t, cmd.Run(), log.String())

	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			assert.Contains(t, page.String(), `id="operations-`+op.Tags[0]+`-`+op.OperationID+`"`)
		}
	}
	assert.NotContains(t, log.String(), "CONSOLE", "the page complains about nothing: no policy that it breaks, no script that fails")
}

func TestDocsFiles(t *testing.T) {
	s := start(t)
	c := s.client()

	page := c.do(http.MethodGet, "/docs", "")
	require.Equal(t, http.StatusOK, page.StatusCode)
	assert.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
	policy := page.Header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.NotContains(t, policy, "unsafe")

	for name, mediaType := range map[string]string{
		"docs.js":              "text/javascript; charset=utf-8",
		"docs.css":             "text/css; charset=utf-8",
		"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
		"swagger-ui.css":       "text/css; charset=utf-8",
		"favicon-32x32.png":    "image/png",
	} {
		resp := c.do(http.MethodGet, "/docs/"+name, "")
		assert.Equal(t, http.StatusOK, resp.StatusCode, name)
		assert.Equal(t, mediaType, resp.Header.Get("Content-Type"), name)
		assert.NotEmpty(t, resp.body, name)
	}
	for _, name := range []string{"index.html", "swagger-ui.js", "..%2fdocs.go", "%00", ".gz"} {
		assert.Equal(t, http.StatusNotFound, c.do(http.MethodGet, "/docs/"+name, "").StatusCode, name)
	}
}

func TestDocsFilesCompressed(t *testing.T) {
	s := start(t)
	get := func(accept string) (encoding string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/docs/swagger-ui.css", nil)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", accept) // so that nobody unpacks it by himself
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "Accept-Encoding", resp.Header.Get("Vary"))
		return resp.Header.Get("Content-Encoding"), body
	}
	_, plain := get("identity")
	for accept, packed := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "gzip; q=1": true,
		"identity": false, "gzip;q=0": false, "gzip; q=0.000, br": false, "gzipped": false,
	} {
		encoding, body := get(accept)
		if !packed {
			assert.Empty(t, encoding, accept)
			assert.Equal(t, plain, body, accept)
			continue
		}
		assert.Equal(t, "gzip", encoding, accept)
		r, err := gzip.NewReader(bytes.NewReader(body))
		require.NoError(t, err)
		unpacked, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, plain, unpacked, accept)
	}
}
