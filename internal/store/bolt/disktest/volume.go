package disktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ext4 mounts a new ext4 file system of that many bytes for as long as the test
// runs, and returns where. It takes mkfs.ext4, loop devices and the right to mount.
func Ext4(t testing.TB, size int64) string {
	t.Helper()
	root := t.TempDir()
	image, dir := filepath.Join(root, "image"), filepath.Join(root, "volume")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, size))
	out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", image).CombinedOutput()
	require.NoError(t, err, "a small volume takes mkfs.ext4: %s", out)
	out, err = exec.Command("mount", "-o", "loop", image, dir).CombinedOutput()
	require.NoError(t, err, "a small volume takes loop devices and the right to mount: %s", out)
	unmountAtEnd(t, dir)
	return dir
}

// Tmpfs mounts a file system in memory that has room for that many bytes for as
// long as the test runs, and returns where. It takes the right to mount.
func Tmpfs(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput()
	require.NoError(t, err, "a small volume takes the right to mount one: %s", out)
	unmountAtEnd(t, dir)
	return dir
}

func unmountAtEnd(t testing.TB, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting a volume: %v: %s", err, out)
		}
	})
}
