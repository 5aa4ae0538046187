package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// process is the built program, running.
type process struct {
	cmd    *exec.Cmd
	log    *logWatch
	errOut *bytes.Buffer
	addr   string
	ended  chan struct{}
}

// command is the program with nothing but this environment.
func command(path string, environ map[string]string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"HOME=" + os.Getenv("HOME"), "LOG_FORMAT=json"}
	for key, value := range environ {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	return cmd
}

func launch(t *testing.T, path string, environ map[string]string) *process {
	t.Helper()
	return launchCommand(t, command(path, environ))
}

// launchCommand runs a command that becomes the service.
func launchCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: newLogWatch(), errOut: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.errOut
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	p.addr = p.log.wait(t, "listening")["addr"].(string)
	return p
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(sig))
}

// end waits for the end and returns the exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(endPatience):
		require.FailNow(t, "the process does not end", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// status is what a GET of the session answers to the cookie.
func (p *process) status(t *testing.T, cookie string) int {
	t.Helper()
	resp := do(t, http.MethodGet, "http://"+p.addr+"/api/session", http.Header{"Cookie": {cookie}}, "")
	return resp.status
}

// create makes a session and returns its cookie.
func (p *process) create(t *testing.T) string {
	t.Helper()
	resp := do(t, http.MethodPost, "http://"+p.addr+"/api/session", nil, "")
	require.Equal(t, http.StatusCreated, resp.status)
	cookie, _, _ := strings.Cut(resp.header.Get("Set-Cookie"), ";")
	return cookie
}

// TestProcess is what only a process of its own can show: exit statuses,
// signals, the version that the linker sets.
func TestProcess(t *testing.T) {
	path := servicetest.Binary(t)

	t.Run("version", func(t *testing.T) {
		out, err := command(path, nil, "version").Output()
		require.NoError(t, err)
		assert.Contains(t, string(out), "session-api "+servicetest.Version+" (go")
	})

	t.Run("exit statuses", func(t *testing.T) {
		for status, cmd := range map[int]*exec.Cmd{
			1: command(path, map[string]string{"PORT": "x"}),
			2: command(path, nil, "launch"),
		} {
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Run(), &exit)
			assert.Equal(t, status, exit.ExitCode())
		}
	})

	for name, sig := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			p := launch(t, path, servicetest.Environment(t))
			conn, r := inFlight(t, p.addr)
			p.signal(t, sig)
			p.log.wait(t, "shutting down")
			_, err := io.WriteString(conn, "}")
			require.NoError(t, err)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, http.StatusCreated, resp.StatusCode)
			assert.Zero(t, p.end(t), p.errOut)
			assert.Empty(t, p.errOut.String())
		})
	}

	const again = "still shutting down; one more signal ends it at once"
	t.Run("second signal", func(t *testing.T) {
		p := launch(t, path, servicetest.Environment(t))
		conn, r := inFlight(t, p.addr)
		p.signal(t, syscall.SIGTERM)
		p.log.wait(t, "shutting down")
		p.signal(t, syscall.SIGTERM)
		p.log.wait(t, again)
		_, err := io.WriteString(conn, "}")
		require.NoError(t, err)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err, "a second signal cuts nothing off")
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusCreated, resp.StatusCode)
		assert.Zero(t, p.end(t), p.errOut)
	})

	t.Run("third signal", func(t *testing.T) {
		p := launch(t, path, servicetest.Environment(t, "SHUTDOWN_TIMEOUT_MS", beyondPatience, "READ_TIMEOUT_MS", "600000"))
		inFlight(t, p.addr)
		p.signal(t, syscall.SIGTERM)
		p.log.wait(t, "shutting down")
		p.signal(t, syscall.SIGINT)
		p.log.wait(t, again)
		p.signal(t, syscall.SIGINT)
		assert.Equal(t, 1, p.end(t))
		assert.Contains(t, p.errOut.String(), "third signal")
	})

	t.Run("SIGHUP rotates the secret", func(t *testing.T) { rotate(t, path) })
	t.Run("SIGHUP rotates the service tokens", func(t *testing.T) { rotateTokens(t, path) })
	t.Run("SIGHUP reads the lines of service tokens", func(t *testing.T) { tokensByLines(t, path) })
}

func rotate(t *testing.T, path string) {
	t.Helper()
	file := servicetest.SecretFile(t, servicetest.SessionSecret+"\n")
	p := launch(t, path, servicetest.Production(t, "HOST", "127.0.0.1", "SESSION_SECRET", "", "SESSION_SECRET_FILE", file))
	const done, refused = "secrets reloaded", "secrets not reloaded, the previous ones remain in use"
	reload := func(content, answer string) {
		t.Helper()
		seen := len(p.log.all(answer))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		p.signal(t, syscall.SIGHUP)
		p.log.waitFor(t, answer, seen+1)
	}

	old := p.create(t)
	require.Equal(t, http.StatusOK, p.status(t, old))

	reload(servicetest.OtherSecret+"\n"+servicetest.SessionSecret+"\n", done)
	assert.Equal(t, http.StatusOK, p.status(t, old), "the second secret still verifies")
	fresh := p.create(t)

	reload("short\n", refused)
	assert.Equal(t, http.StatusOK, p.status(t, old), "a bad file changes nothing")
	assert.Equal(t, http.StatusOK, p.status(t, fresh))

	reload(servicetest.OtherSecret, done)
	assert.Equal(t, http.StatusUnauthorized, p.status(t, old), "a retired secret verifies nothing")
	assert.Equal(t, http.StatusOK, p.status(t, fresh))

	p.signal(t, syscall.SIGTERM)
	assert.Zero(t, p.end(t))
	for _, secret := range []string{servicetest.SessionSecret, servicetest.OtherSecret} {
		assert.NotContains(t, p.log.String(), secret)
	}
}

// A random session secret survives the reload of the tokens.
func rotateTokens(t *testing.T, path string) {
	t.Helper()
	file := servicetest.SecretFile(t, servicetest.Token)
	p := launch(t, path, servicetest.Environment(t, "SERVICE_TOKENS_FILE", file))
	cleanup := func(token string) int {
		resp := do(t, http.MethodPost, "http://"+p.addr+"/api/cleanup", http.Header{"Authorization": {"Bearer " + token}}, "")
		return resp.status
	}
	cookie := p.create(t)
	require.Equal(t, http.StatusOK, cleanup(servicetest.Token))

	require.NoError(t, os.WriteFile(file, []byte("another-token"), 0o600))
	p.signal(t, syscall.SIGHUP)
	p.log.wait(t, "secrets reloaded")
	assert.Equal(t, http.StatusUnauthorized, cleanup(servicetest.Token))
	assert.Equal(t, http.StatusOK, cleanup("another-token"))
	assert.Equal(t, http.StatusOK, p.status(t, cookie))
}
