package deploy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what should take no time.
const patience = 2 * time.Minute

// freePorts returns ports that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	listeners, ports := make([]net.Listener, n), make([]string, n)
	for i := range ports {
		var err error
		listeners[i], err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports[i] = strconv.Itoa(listeners[i].Addr().(*net.TCPAddr).Port)
	}
	for _, listener := range listeners { // not before all are taken
		require.NoError(t, listener.Close())
	}
	return ports
}

// What `make run-redis` runs: two instances with one store, and nothing left of
// them after Ctrl-C.
func TestRunRedis(t *testing.T) {
	dir, ports := t.TempDir(), freePorts(t, 3)
	root := filepath.Join(dir, "root")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "tools"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "bin"), 0o755))
	require.NoError(t, os.Symlink(binary(t), filepath.Join(root, "bin", "session-api")))
	for _, name := range []string{"run-redis.sh", "need.sh"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "tools", name), []byte(read(t, "tools", name)), 0o700))
	}

	cmd := exec.Command(filepath.Join(root, "tools", "run-redis.sh"), ports...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal does
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })

	var log strings.Builder
	lines, listening := bufio.NewReader(output), 0
	for listening < 2 {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		require.NoError(t, err, log.String())
		if strings.Contains(line, "msg=listening") {
			listening++
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	ask := func(method, port, cookie string) (status int, setCookie string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+"/api/session", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Cookie", cookie)
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode, resp.Header.Get("Set-Cookie")
	}
	cookie := ""
	require.Eventually(t, func() bool { // Redis may come last
		status, setCookie := ask(http.MethodPost, ports[1], "")
		cookie, _, _ = strings.Cut(setCookie, ";")
		return status == http.StatusCreated
	}, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { // each connects to it by itself
		status, _ := ask(http.MethodGet, ports[2], cookie)
		return status == http.StatusOK
	}, patience, 10*time.Millisecond)

	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	rest, err := io.ReadAll(lines) // to the end of all that could write
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), "%s", rest)
	log.Write(rest)
	for _, alarm := range []string{"WARN", "ERROR", "WARNING"} {
		assert.NotContains(t, log.String(), alarm, "an ordinary start and end")
	}
	for _, port := range ports {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if !assert.Error(t, err, "somebody still listens on %s", port) {
			_ = conn.Close()
		}
	}
	kept, err := filepath.Glob(filepath.Join(root, "bin", "redis", "appendonlydir", "*.aof"))
	require.NoError(t, err)
	assert.NotEmpty(t, kept)
}
