//go:build darwin || freebsd || netbsd

package cleanup

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// changeTime returns the later of a file's change time (ctime) and birth time.
func changeTime(info fs.FileInfo) (time.Time, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	changed, born := time.Unix(stat.Ctimespec.Unix()), time.Unix(stat.Birthtimespec.Unix())
	if born.After(changed) {
		changed = born
	}
	return changed, true
}

// birthTime is part of changeTime on this platform.
func birthTime(*os.File, string) (born time.Time, ok bool) { return time.Time{}, false }
