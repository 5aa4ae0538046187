// Package servicetest runs the service as its users do, for the tests of what
// talks to it: the binary, on a free port.
package servicetest

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What every service that Start starts is configured with.
const (
	Secret       = "a secret of the tests, long enough for production"
	ServiceToken = "a-service-token-of-the-tests-with-48-characters"
)

var listening = regexp.MustCompile(`\baddr=(\S+)`)

// Start runs the service until the test ends, and returns its URL. Sessions are
// in memory; env adds settings, or replaces some.
func Start(t testing.TB, env ...string) string {
	t.Helper()
	return StartBare(t, append([]string{
		"SESSION_SECRET=" + Secret,
		"SERVICE_TOKENS=" + ServiceToken,
		"CREATE_RATE_PER_MINUTE=0",
	}, env...)...)
}

// StartBare is Start with no settings but those in env, a free port and a
// temporary directory.
func StartBare(t testing.TB, env ...string) string {
	t.Helper()
	cmd := exec.Command(Binary(t))
	cmd.Env = append([]string{"PORT=0", "TMPDIR=" + t.TempDir()}, env...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())

	address := make(chan string, 1)
	read := make(chan struct{})
	var said strings.Builder // until it listens
	go func() {
		defer close(read)
		defer close(address)
		found := false
		lines := bufio.NewScanner(stdout)
		for lines.Scan() { // to the end, so that the service can always write
			if found {
				continue
			}
			said.WriteString(lines.Text() + "\n")
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found = true
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Signal(os.Interrupt))
		<-read // before Wait, which closes the pipe
		assert.NoError(t, cmd.Wait())
	})
	addr, ok := <-address
	require.True(t, ok, "the service says where it listens:\n%s", &said)
	return "http://" + addr
}
