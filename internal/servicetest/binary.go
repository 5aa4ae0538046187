package servicetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Version is what the binary says is its version.
const Version = "v1.2.3"

// Binary returns the path of the service, built from the source as it is now.
// The file is below bin and shared by all packages: the go command leaves it as
// it is unless the source has changed, so a run of all tests links it once.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := Build()
	require.NoError(t, err)
	return path
}

// Build is Binary for a TestMain.
var Build = sync.OnceValues(func() (path string, err error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("looking for go.mod: %w", err)
	}
	dir := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "bin", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("waiting for another package's build: %w", err)
	}
	path = filepath.Join(dir, "session-api")
	// As the Makefile and the Dockerfile build it, so that its packages are compiled
	// once for all of them.
	link := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+Version, "-o", path, "session-api/cmd/session-api")
	link.Env = append(link.Environ(), "CGO_ENABLED=0")
	if out, err := link.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return path, nil
})
