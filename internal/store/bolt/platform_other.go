//go:build !linux

package bolt

import (
	"os"
	"time"
)

// lockFile leaves it to bbolt, which locks the data file.
func lockFile(*os.File, bool, time.Duration) error { return nil }

// readAhead does nothing.
func readAhead(*os.File) {}
