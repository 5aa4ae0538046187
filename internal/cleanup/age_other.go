//go:build !linux && !darwin && !freebsd && !netbsd

package cleanup

import (
	"io/fs"
	"os"
	"time"
)

// changeTime is not available on this platform: the modification time alone counts.
func changeTime(fs.FileInfo) (time.Time, bool) { return time.Time{}, false }

// birthTime is not available on this platform.
func birthTime(*os.File, string) (born time.Time, ok bool) { return time.Time{}, false }
