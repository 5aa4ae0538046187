package cleanup

import (
	"io/fs"
	"time"
)

// lastChange returns the later of a file's modification and change time. A file that
// was copied with its times, unpacked or moved into the directory is new there, however
// old its content is.
func lastChange(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if changed, ok := changeTime(info); ok && changed.After(at) {
		at = changed
	}
	return at
}
