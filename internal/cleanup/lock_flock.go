//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cleanup

import (
	"errors"
	"os"
	"syscall"
)

// openFlags keep a FIFO in a file's place from being waited for.
const openFlags = syscall.O_NONBLOCK

// tryLock locks a file until it is closed, unless another process has: then
// held is false. On a file system without locks it is always held.
func tryLock(f *os.File) (held bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	if failed := conn.Control(func(fd uintptr) {
		err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	}); failed != nil {
		return false
	}
	return !errors.Is(err, syscall.EWOULDBLOCK)
}
