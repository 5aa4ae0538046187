package examples_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// TestHook runs a page on the React hook, and on the TypeScript client below it.
func TestHook(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "examples/browser", "clients/typescript")
	var script atomic.Pointer[string]
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, body := "text/html", `<!doctype html><meta charset="utf-8"><div id="root"></div><script type="module" src="app.js"></script>`
		if r.URL.Path == "/app.js" {
			content, body = "text/javascript", *script.Load()
		}
		w.Header().Set("Content-Type", content+"; charset=utf-8")
		_, _ = io.WriteString(w, body) // the browser may have gone
	}))
	t.Cleanup(origin.Close)
	api := servicetest.Start(t, "ALLOWED_ORIGINS="+origin.URL)
	app := run(t, "browser", []string{"SESSION_API=" + api}, "node", "use-session-app.js")
	script.Store(&app)

	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "the page is tried in Chromium")
	run(t, "browser", []string{"PAGE_URL=" + origin.URL, "SESSION_API=" + api, "CHROMIUM=" + browser}, "npm", "run", "test:hook")
}
