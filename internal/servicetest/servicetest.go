// Package servicetest runs the service as its users do, for the tests of what
// talks to it: the binary, on a free port.
package servicetest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

var binary string

// Main builds the service and runs the tests of a package. Its TestMain calls
// this.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "servicetest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the temporary directory
	binary = filepath.Join(dir, "session-api")
	out, err := exec.Command("go", "build", "-o", binary, "session-api/cmd/session-api").CombinedOutput()
	if err != nil {
		panic(fmt.Sprintf("building the service: %v\n%s", err, out))
	}
	m.Run()
}

// Start runs the service until the test ends, and returns its URL. Sessions are
// in memory; env adds settings, or replaces some.
func Start(t testing.TB, env ...string) string {
	t.Helper()
	require.NotEmpty(t, binary, "TestMain calls servicetest.Main")
	cmd := exec.Command(binary)
	cmd.Env = append([]string{
		"TMPDIR=" + t.TempDir(),
		"PORT=0",
		"SESSION_SECRET=" + Secret,
		"SERVICE_TOKENS=" + ServiceToken,
		"CREATE_RATE_PER_MINUTE=0",
	}, env...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())

	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(address)
		found := false
		lines := bufio.NewScanner(stdout)
		for lines.Scan() { // to the end, so that the service can always write
			if m := listening.FindStringSubmatch(lines.Text()); m != nil && !found {
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
	require.True(t, ok, "the service says where it listens")
	return "http://" + addr
}
