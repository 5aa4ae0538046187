//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

// Package filelock keeps two processes from working on one file or directory.
package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Try locks a file until it is closed. held is false if another process has locked it, and
// true on a file system without locks.
func Try(f *os.File) (held bool) {
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
