package cleanup_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"session-api/internal/cleanup"
)

// What is no regular file stays, and nothing waits for it.
func TestNoRegularFile(t *testing.T) {
	elsewhere := t.TempDir()
	target := write(t, elsewhere, "target", aged)
	for name, make := range map[string]func(t *testing.T, path string){
		"symbolic link to a file":      func(t *testing.T, path string) { require.NoError(t, os.Symlink(target, path)) },
		"symbolic link to a directory": func(t *testing.T, path string) { require.NoError(t, os.Symlink(elsewhere, path)) },
		"symbolic link to itself":      func(t *testing.T, path string) { require.NoError(t, os.Symlink(path, path)) },
		"symbolic link upwards":        func(t *testing.T, path string) { require.NoError(t, os.Symlink("..", path)) },
		"symbolic link within":         func(t *testing.T, path string) { require.NoError(t, os.Symlink("neighbour", path)) },
		"dangling symbolic link":       func(t *testing.T, path string) { require.NoError(t, os.Symlink("nothing", path)) },
		"FIFO":                         func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) },
		"socket":                       func(t *testing.T, path string) { listen(t, path) },
		"device":                       func(t *testing.T, path string) { device(t, path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			neighbour := write(t, dir, "sub/neighbour", old)
			path := filepath.Join(dir, "sub/it")
			make(t, path)
			require.NoError(t, unix.Lutimes(path, []unix.Timeval{{Sec: 1}, {Sec: 1}}))
			mkdir(t, dir, "sub", old)
			before, err := os.Lstat(path)
			require.NoError(t, err)

			report := clean(t, dir, referring())

			after, err := os.Lstat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after))
			assert.FileExists(t, target)
			assert.NoFileExists(t, neighbour)
			assert.Equal(t, 1, report.Scanned)
			assert.Equal(t, 1, report.Skipped)
			assert.Zero(t, report.DirsRemoved)
			assert.Zero(t, report.Errors)
			assert.Equal(t, cleanup.ReasonNotRegular, only(t, report, "sub/it").Reason)
		})
	}
}

// A FIFO that takes a directory's place must not be waited for.
func TestFIFOInPlaceOfADirectory(t *testing.T) {
	t.Run("before it is entered", func(t *testing.T) {
		dir := t.TempDir()
		sub := mkdir(t, dir, "sub", old)
		write(t, dir, "file", old)
		s := referring()
		s.hasFile = func([]string) (bool, error) {
			require.NoError(t, os.Remove(sub))
			require.NoError(t, syscall.Mkfifo(sub, 0o600))
			return true, nil
		}
		report := clean(t, dir, s)
		assert.Equal(t, 1, report.Errors)
		assert.Contains(t, only(t, report, "sub").Detail, "not a directory")
	})
	t.Run("at the root", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "files")
		j := newJob(t, dir, referring())
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, syscall.Mkfifo(dir, 0o600))
		report, err := j.Run(t.Context(), false)
		require.ErrorIs(t, err, cleanup.ErrDirectory)
		assert.Equal(t, 1, report.Errors)
	})
}

// A directory that may not be written to, or not be entered, is reported; the
// rest is cleaned all the same.
func TestPermissionDenied(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   os.FileMode
		failed string
		// scanned is 1 where the file could be looked at.
		scanned int
		bytes   int64
	}{
		{"read-only", 0o555, "locked/file", 1, 7},
		{"cannot be listed", 0o333, "locked", 0, 0},
		{"cannot be entered", 0o444, "locked", 0, 0},
		{"neither", 0, "locked", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := unprivileged(t)
			path := write(t, dir, "locked/file", old)
			locked := mkdir(t, dir, "locked", old)
			other := write(t, dir, "other/file", old)
			require.NoError(t, os.Chmod(locked, tt.mode))
			t.Cleanup(func() { assert.NoError(t, os.Chmod(locked, 0o700)) })

			report := clean(t, dir, referring())

			assert.NoFileExists(t, other)
			assert.Equal(t, 1, report.Deleted)
			assert.Equal(t, 1, report.Errors)
			assert.Equal(t, 1+tt.scanned, report.Scanned)
			assert.Equal(t, report.Scanned, report.Kept+report.Deleted+tt.scanned)
			entry := only(t, report, tt.failed)
			assert.Equal(t, cleanup.ActionFailed, entry.Action)
			assert.Contains(t, entry.Detail, "permission denied")
			assert.Equal(t, tt.bytes, entry.Bytes)
			require.NoError(t, os.Chmod(locked, 0o700))
			assert.FileExists(t, path)
		})
	}
}

// An empty directory in one that is read-only cannot be removed.
func TestPermissionDeniedForADirectory(t *testing.T) {
	dir := unprivileged(t)
	mkdir(t, dir, "locked/empty", old)
	locked := mkdir(t, dir, "locked", old)
	require.NoError(t, os.Chmod(locked, 0o500))
	t.Cleanup(func() { assert.NoError(t, os.Chmod(locked, 0o700)) })

	report := clean(t, dir, referring())
	assert.Equal(t, 1, report.Errors)
	assert.Zero(t, report.DirsRemoved)
	assert.Contains(t, only(t, report, "locked/empty").Detail, "permission denied")
}

// The directory itself cannot be read, or not be made: the job is there and
// reports it.
func TestRootPermissionDenied(t *testing.T) {
	t.Run("not readable", func(t *testing.T) {
		dir := mkdir(t, unprivileged(t), "files", old)
		require.NoError(t, os.Chmod(dir, 0))
		t.Cleanup(func() { assert.NoError(t, os.Chmod(dir, 0o700)) })
		report, err := newJob(t, dir, referring()).Run(t.Context(), false)
		require.ErrorIs(t, err, cleanup.ErrDirectory)
		assert.Equal(t, 1, report.Errors)
		assert.Contains(t, only(t, report, "").Detail, "permission denied")
	})
	t.Run("cannot be made", func(t *testing.T) {
		parent := mkdir(t, unprivileged(t), "parent", old)
		require.NoError(t, os.Chmod(parent, 0o500))
		t.Cleanup(func() { assert.NoError(t, os.Chmod(parent, 0o700)) })
		report, err := newJob(t, filepath.Join(parent, "files"), referring()).Run(t.Context(), false)
		require.ErrorIs(t, err, cleanup.ErrDirectory)
		assert.Equal(t, 1, report.Errors)
		assert.Contains(t, only(t, report, "").Detail, "no such file")
	})
}

// unprivileged takes from the test's thread what root may do, and returns a
// directory of its own.
func unprivileged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		return dir
	}
	const nobody = 65534
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chown(dir, nobody, nobody))
	runtime.LockOSThread() // for good: the thread ends with the test
	require.NoError(t, syscall.Setfsgid(nobody))
	require.NoError(t, syscall.Setfsuid(nobody))
	t.Cleanup(func() { // so that what is registered before can tidy up
		assert.NoError(t, syscall.Setfsuid(0))
		assert.NoError(t, syscall.Setfsgid(0))
	})
	return dir
}

func listen(t *testing.T, path string) {
	t.Helper()
	// The address of a socket is short: it is made elsewhere and moved.
	short := filepath.Join(t.TempDir(), "s")
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "unix", short)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	require.NoError(t, os.Rename(short, path))
}

// device makes a character device, which only root can. Without root the test
// has a socket in its place: to the job both are no regular file.
func device(t *testing.T, path string) {
	t.Helper()
	const null = 1<<8 | 3 // as /dev/null
	err := syscall.Mknod(path, syscall.S_IFCHR|0o600, null)
	if err != nil {
		t.Logf("no device, a socket in its place: %v", err)
		require.ErrorIs(t, err, syscall.EPERM)
		listen(t, path)
	}
}
