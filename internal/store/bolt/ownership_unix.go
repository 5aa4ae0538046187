//go:build unix

package bolt

import (
	"os"
	"syscall"
)

// chownLike gives the file the owner and the group of another.
func chownLike(path string, like os.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}
