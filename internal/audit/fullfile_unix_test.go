//go:build unix

package audit_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/audit"
)

// fullFile is the environment variable that makes the test the process whose file must
// not grow.
const fullFile = "AUDIT_TEST_FULL_FILE"

// A line of which only the beginning has found room is cut off, and all lines are
// written once there is room. The limit is the whole process's, so it has one of its own.
func TestFileThatCannotGrow(t *testing.T) {
	if path := os.Getenv(fullFile); path != "" {
		writeBeyondLimit(t, path)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFileThatCannotGrow$")
	cmd.Env = append(os.Environ(), fullFile+"="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	r := verify(t, content)
	require.Empty(t, found(r))
	require.Empty(t, r.Notes)
	require.Equal(t, 22, r.Lines)
}

// writeBeyondLimit appends 21 entries, for the last ones of which there is no room at
// first.
func writeBeyondLimit(t *testing.T, path string) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // for EFBIG in its place
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	narrow := limit
	narrow.Cur = 4096
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &narrow))
	l, err := audit.OpenFile(path, audit.Options{})
	require.NoError(t, err)
	failed := 0
	for range 20 {
		if l.Append(audit.Entry{Actor: audit.System, Act: audit.Export}) != nil {
			failed++
		}
	}
	require.NotZero(t, failed)
	require.NotEqual(t, 20, failed)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, byte('\n'), content[len(content)-1], "what was written of a line is cut off")
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for began := time.Now(); l.Ready() != nil; <-look.C { // until the log tries again by itself
		require.Less(t, time.Since(began), time.Minute)
	}
	require.NoError(t, l.Append(audit.Entry{Actor: audit.System, Act: audit.Import}))
	require.NoError(t, l.Close())
}
