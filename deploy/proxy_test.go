package deploy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startProxy runs the proxy of docker-compose.yml in front of one instance, and
// returns its address.
func startProxy(t *testing.T, instance string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())

	dir := t.TempDir()
	conf := strings.NewReplacer("/tmp/", dir+"/", "listen 8080", "listen "+addr, "session-api:8080", instance).Replace(read(t, "deploy", "nginx.conf"))
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // where Debian keeps it, out of the way of most users
	}
	directives := "daemon off;"
	if os.Geteuid() == 0 { // or its workers could not write here
		directives += " user root;"
	}
	cmd := exec.Command(program, "-e", "stderr", "-p", dir, "-c", path, "-g", directives)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 30*time.Second, 5*time.Millisecond)
	return addr
}

// From outside, pages reach their session and a gateway reaches verify.
func TestProxyKeepsTheRestInside(t *testing.T) {
	reached := make(chan string, 1)
	instance := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- r.Method + " " + r.RequestURI
	}))
	t.Cleanup(instance.Close)
	addr := startProxy(t, strings.TrimPrefix(instance.URL, "http://"))
	ask := func(method, target string) (status int, seen string) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(conn, method+" "+target+" HTTP/1.0\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Greater(t, len(answer), 12, "%s: %q", target, answer)
		status, err = strconv.Atoi(string(answer[9:12]))
		require.NoError(t, err)
		select {
		case seen = <-reached:
		default:
		}
		return status, seen
	}
	for target, want := range map[string]string{
		"/api/session":                                "/api/session",
		"/api/session?touch=false":                    "/api/session?touch=false",
		"/api/session?a=%20b;c":                       "/api/session?a=%20b;c",
		"/api/session/operations":                     "/api/session/operations",
		"/api/session/touch":                          "/api/session/touch",
		"/api/session/regenerate?transport=bearer":    "/api/session/regenerate?transport=bearer",
		"/healthz":                                    "/healthz",
		"/api/sessions/..%2fsession":                  "/api/session", // and not what another server reads in it
		"/metrics/../api/session":                     "/api/session",
		"/api/session/verify":                         "/api/session/verify",
		"/api/session/verify?role=admin":              "/api/session/verify?role=admin",
		"/api/session/verify;session/orders?q=100%&b": "/api/session/verify;session/orders?q=100%&b",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			status, seen := ask(method, target)
			assert.Equal(t, 200, status, target)
			assert.Equal(t, method+" "+want, seen)
		}
	}
	for _, target := range []string{
		"/", "/metrics", "/stats", "/docs", "/docs/", "/docs/swagger-ui.css", "/openapi.yaml", "/readyz", "/api/cleanup", "/api/cleanup?dryRun=true", "/api/sessions",
		"/api/sessions?all=true", "/api/sessions/count", "/api/sessions/0123456789abcdef", "/api/sessions/0123456789abcdef/touch", "/api/events", "/api/export", "/api/import", "/api/session/stats",
		"/api/session/", "//metrics", "/./metrics", "/%6detrics", "/api/session/../sessions", "/api/session%2fstats", "/api/session/verify/../stats",
		"/api/session/verify/../../sessions", "/api/session/verify/..%2f..%2fsessions", "/healthz/../stats", "/healthz%0a", "/api/session%0a", "/api/session%00", "/METRICS", "/api/session;x",
		"/api/sessions/..%2fsession%2fverify", "/metrics?/../api/session", "http://session-api:8080/metrics",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			status, seen := ask(method, target)
			assert.Contains(t, []int{400, 404}, status, target)
			assert.Empty(t, seen, target)
		}
	}
}
