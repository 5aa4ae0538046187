package cleanup

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// changeTime returns a file's change time (ctime).
func changeTime(info fs.FileInfo) (time.Time, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(stat.Ctim.Unix()), true
}

// birthTime returns when a file was created, if the file system knows: after the
// clock was set back, a file may be younger than its other times say. An empty name
// means the directory itself.
func birthTime(dir *os.File, name string) (born time.Time, ok bool) {
	conn, err := dir.SyscallConn()
	if err != nil {
		return time.Time{}, false
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var stat unix.Statx_t
	if failed := conn.Control(func(fd uintptr) {
		err = unix.Statx(int(fd), name, flags, unix.STATX_BTIME, &stat)
	}); failed != nil || err != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, false
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec)), true
}
