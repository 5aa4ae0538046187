package redistest_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

// A port stays the test's while nobody listens on it: no other listener and no
// client gets it by chance.
func TestPortIsKept(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	for range 2000 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NotEqual(t, server.Addr(), listener.Addr().String())
		require.NoError(t, listener.Close())
	}
	server.Restart()
}

// owner is the environment variable that makes this test program start a
// server, say where, and be killed.
const owner = "REDISTEST_OWNER"

func TestServerEndsWithItsProcess(t *testing.T) {
	if os.Getenv(owner) != "" {
		server := redistest.Start(t)
		_, err := os.Stdout.WriteString("addr=" + server.Addr() + "\n")
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
		select {} // until the signal arrives
	}
	redistest.Binaries(t) // else the other process would be skipped
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), owner+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.Output()
	require.ErrorContains(t, err, "killed")
	_, addr, found := strings.Cut(strings.TrimSpace(string(out)), "addr=")
	require.True(t, found, "printed %q", out)
	require.Eventually(t, func() bool { return refused(addr) }, patience, 10*time.Millisecond)
}
