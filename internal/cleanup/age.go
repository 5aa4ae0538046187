package cleanup

import (
	"io/fs"
	"time"
)

// lastChange is the latest of the times that a file system gives for a file:
// when its content was modified and when its name, mode or place changed. A file
// that was copied with its times, unpacked or moved here is new here, however
// old its content is.
func lastChange(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if changed, ok := changeTime(info); ok && changed.After(at) {
		at = changed
	}
	return at
}
