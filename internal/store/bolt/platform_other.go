//go:build !linux

package bolt

import (
	"io/fs"
	"math"
	"os"
	"time"
)

// lockFile leaves it to bbolt, which locks the data file.
func lockFile(*os.File, bool, time.Duration) error { return nil }

// unlockFile does nothing.
func unlockFile(*os.File) {}

// readAhead does nothing.
func readAhead(*os.File) {}

// unmapPages does nothing.
func unmapPages(uintptr, int64) {}

// device is not known.
func device(fs.FileInfo) uint64 { return 0 }

// likeFile does nothing.
func likeFile(*os.File, fs.FileInfo) error { return nil }

// volumeOf takes a volume for a large one.
func volumeOf(string) (volume, error) {
	return volume{bytes: math.MaxInt64, free: math.MaxInt64}, nil
}
