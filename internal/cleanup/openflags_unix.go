//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cleanup

import "syscall"

// openFlags make opening a FIFO in a file's place not block.
const openFlags = syscall.O_NONBLOCK
