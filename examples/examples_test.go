// Package examples_test runs the examples as their readers would, against the
// running service.
package examples_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// run runs a command to its end, and returns what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v\n%s\n%s", name, args, out, stderr.String())
	return string(out)
}

// serve runs a command that serves until the test ends, and returns the URL
// that it says it listens on.
func serve(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	})
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	go io.Copy(io.Discard, lines) //nolint:errcheck // so that it can always write
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	return address
}

// answer is what a request came to.
type answer struct {
	status int
	body   string
}

// do sends a request, with header fields as pairs of name and value.
func do(t *testing.T, client *http.Client, method, target, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, string(got)}
}

func TestShell(t *testing.T) {
	api := servicetest.Start(t)
	out := run(t, "shell", []string{"SESSION_API=" + api, "SERVICE_TOKEN=" + servicetest.ServiceToken}, "./session.sh")
	assert.Equal(t, `created: {"revision":1,"inputs":{"step":1}}
patched: {"revision":2,"inputs":{"prompt":"Check the order export"}}
appended: ["part-1.csv","part-2.csv","part-3.csv"]
refused: 412 precondition_failed
regenerated: {"prompt":"Check the order export"}
ended
sessions of a user: 2
signed out everywhere: 2
`, out)
}

func TestGoService(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "go-service")
	run(t, "go-service", []string{"CGO_ENABLED=0"}, "go", "build", "-o", binary, ".") // as the service is, and so compiled
	api := servicetest.Start(t)
	app := serve(t, ".", []string{"SESSION_API=" + api, "SERVICE_TOKEN=" + servicetest.ServiceToken, "ADDR=127.0.0.1:0"}, binary)

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	visitor := &http.Client{Jar: jar}
	const form = "application/x-www-form-urlencoded"
	assert.Contains(t, do(t, visitor, "GET", app, "").body, "Sign in")

	home := do(t, visitor, "POST", app+"/sign-in", "name=ada", "Content-Type", form)
	assert.Equal(t, http.StatusOK, home.status)
	assert.Contains(t, home.body, "Hello ada (editor )")
	assert.Contains(t, do(t, visitor, "GET", app, "").body, "Hello ada")
	assert.NotContains(t, do(t, http.DefaultClient, "GET", app, "").body, "Hello", "others are not")

	// Another site cannot sign the visitor out.
	foreign := do(t, visitor, "POST", app+"/sign-out", "", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, http.StatusForbidden, foreign.status)
	assert.Contains(t, do(t, visitor, "POST", app+"/sign-out", "").body, "Sign in")
	address, err := url.Parse(app)
	require.NoError(t, err)
	assert.Empty(t, jar.Cookies(address))

	// Not to know must not look like being signed out.
	down := httptest.NewServer(nil)
	down.Close()
	alone := serve(t, ".", []string{"SESSION_API=" + down.URL, "ADDR=127.0.0.1:0"}, binary)
	assert.Equal(t, http.StatusBadGateway, do(t, visitor, "GET", alone, "").status)
}

func TestExpress(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "examples/express")
	api := servicetest.Start(t)
	app := serve(t, "express", []string{
		"SESSION_API=" + api, "SESSION_SECRET=" + servicetest.Secret, "SERVICE_TOKEN=" + servicetest.ServiceToken, "PORT=0",
	}, "node", "app.js")

	// The cookie is set by session-api, and sent to the app.
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	visitor := &http.Client{Jar: jar}
	const mediaType = "application/json"
	assert.Equal(t, http.StatusUnauthorized, do(t, visitor, "GET", app+"/me", "").status)
	created := do(t, visitor, "POST", api+"/api/session", `{"meta":{"theme":"dark"}}`, "Content-Type", mediaType)
	require.Equal(t, http.StatusCreated, created.status)
	assert.Equal(t, answer{http.StatusOK, `{"user":null,"theme":"dark"}`}, do(t, visitor, "GET", app+"/me", ""))

	assert.Equal(t, answer{http.StatusOK, `{"theme":"light"}`},
		do(t, visitor, "PUT", app+"/theme", `{"theme":"light"}`, "Content-Type", mediaType))
	assert.Contains(t, do(t, visitor, "GET", api+"/api/session", "").body, `"meta":{"theme":"light"}`)

	// A signature that is not right opens nothing.
	address, err := url.Parse(app)
	require.NoError(t, err)
	cookies := jar.Cookies(address)
	require.Len(t, cookies, 1)
	name, value := cookies[0].Name, cookies[0].Value
	forged := value[:len(value)-2] + strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, value[len(value)-2:])
	assert.Equal(t, http.StatusUnauthorized, do(t, http.DefaultClient, "GET", app+"/me", "", "Cookie", name+"="+forged).status)
	assert.Equal(t, http.StatusOK, do(t, http.DefaultClient, "GET", app+"/me", "", "Cookie", name+"="+value).status)

	// One that is, of a session that has ended, does not either.
	assert.Equal(t, http.StatusNoContent, do(t, visitor, "DELETE", api+"/api/session", "").status)
	assert.Equal(t, http.StatusUnauthorized, do(t, http.DefaultClient, "GET", app+"/me", "", "Cookie", name+"="+value).status)
}

func TestBrowser(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "examples/browser")
	// The page has to know the service's address, and the service the page's
	// origin: this is the origin, in front of the page's server.
	var page atomic.Pointer[httputil.ReverseProxy]
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page.Load().ServeHTTP(w, r) }))
	t.Cleanup(origin.Close)
	api := servicetest.Start(t, "ALLOWED_ORIGINS="+origin.URL)
	address, err := url.Parse(serve(t, "browser", []string{"SESSION_API=" + api, "PORT=0"}, "node", "serve.js"))
	require.NoError(t, err)
	page.Store(httputil.NewSingleHostReverseProxy(address))

	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "the page is tried in Chromium")
	run(t, "browser", []string{"PAGE_URL=" + origin.URL, "CHROMIUM=" + browser}, "npm", "test")
}

// TestReact runs the frontend code of the README, as it stands there, below
// React's StrictMode.
func TestReact(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "examples/browser")
	tryApp(t, "readme-app.js", "test:readme", "SERVICE_TOKEN="+servicetest.ServiceToken)
}

// tryApp serves a page whose script is what a program prints, and lets npm run a script
// of tests on it, in Chromium.
func tryApp(t *testing.T, program, tests string, env ...string) {
	t.Helper()
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
	app := run(t, "browser", []string{"SESSION_API=" + api}, "node", program)
	script.Store(&app)

	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "the page is tried in Chromium")
	run(t, "browser", append(env, "PAGE_URL="+origin.URL, "SESSION_API="+api, "CHROMIUM="+browser), "npm", "run", tests)
}

// TestHook runs a page on the React hook, and on the TypeScript client below it.
func TestHook(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "examples/browser", "clients/typescript")
	tryApp(t, "use-session-app.js", "test:hook")
}
