//go:build !linux && !darwin && !freebsd && !netbsd

package cleanup

import (
	"io/fs"
	"os"
	"time"
)

// changeTime is not known here: ages count from the modification time alone.
func changeTime(fs.FileInfo) (time.Time, bool) { return time.Time{}, false }

// birthTime is not known here.
func birthTime(*os.File, string) (born time.Time, ok bool) { return time.Time{}, false }
