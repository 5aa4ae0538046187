package bolt

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile locks the file for this process, alone or with others that only
// read. The lock ends with the file's descriptor. Returns ErrInUse.
func lockFile(f *os.File, alone bool, wait time.Duration) error {
	const tries = 20
	how := unix.LOCK_SH | unix.LOCK_NB
	if alone {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	for try := 0; ; try++ {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking the directory: %w", err)
		case try == tries:
			return ErrInUse
		}
		<-time.After(wait / tries) // at once where nobody waits
	}
}

// readAhead asks the system to read the whole file: it will be needed in an
// order that nobody could guess.
func readAhead(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED) // only makes it faster
}
