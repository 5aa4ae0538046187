package docs_test

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// inChromium runs a test of docs/browser.
func inChromium(t *testing.T, test string, env ...string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "the tests need Chromium: apt-get install chromium")
	install := exec.CommandContext(t.Context(), "../tools/npm-ci.sh", "docs/browser")
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-timeout=300000", test)
	cmd.Dir = "browser"
	cmd.Env = append(os.Environ(), append(env, "CHROMIUM="+browser)...)
	out, err = cmd.CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// localhost is the same address by the name that belongs to it.
func localhost(t *testing.T, address string) string {
	t.Helper()
	at, err := url.Parse(address)
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(at.Host)
	require.NoError(t, err)
	return "http://localhost:" + port
}

// The page at /docs, on a screen and on a telephone.
func TestDocsPage(t *testing.T) {
	inChromium(t, "page.test.js", "SESSION_API="+servicetest.Start(t, "SERVICE_TOKENS="))
}

// What frontends.md says.
func TestFrontends(t *testing.T) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>%s</title><p id=cookies>%s", r.URL.Path, html.EscapeString(r.Header.Get("Cookie")))
	}))
	t.Cleanup(pages.Close)
	page := localhost(t, pages.URL)
	env := []string{"PAGE=" + page}
	for name, settings := range map[string][]string{
		"LAX":           nil,
		"STRICT":        {"COOKIE_SAMESITE=strict"},
		"UNPARTITIONED": {"COOKIE_SAMESITE=none", "COOKIE_SECURE=true"},
		"PARTITIONED":   {"COOKIE_SAMESITE=none", "COOKIE_SECURE=true", "COOKIE_PARTITIONED=true"},
	} {
		settings = append(settings, "ALLOWED_ORIGINS="+page+","+pages.URL)
		env = append(env, name+"="+localhost(t, servicetest.Start(t, settings...)))
	}
	inChromium(t, "frontends.test.js", env...)
}

// A real browser signs in on two profiles, lists both, and ends the other's session. The
// site has a login of its own, which a service token lets say who the visitor is.
func TestTwoProfiles(t *testing.T) {
	pages := http.NewServeMux()
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	page := localhost(t, server.URL)
	api := localhost(t, servicetest.Start(t, "ALLOWED_ORIGINS="+page))
	pages.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, "<!doctype html><title>A site</title>")
	})
	pages.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// The sign-in of the service: a new id and a user in one step.
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, api+"/api/session/regenerate", strings.NewReader(`{"user": {"id": "ada"}}`))
		if !assert.NoError(t, err) {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+servicetest.ServiceToken)
		req.Header["Cookie"] = r.Header["Cookie"]
		resp, err := http.DefaultClient.Do(req)
		if !assert.NoError(t, err) {
			return
		}
		w.Header()["Set-Cookie"] = resp.Header["Set-Cookie"]
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, err = io.Copy(w, resp.Body)
		assert.NoError(t, errors.Join(err, resp.Body.Close()))
	})
	inChromium(t, "devices.test.js", "API="+api, "PAGE="+page)
}
