package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
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

// unlockFile ends a lock that a mapping of the file may outlive. The file may be
// closed meanwhile: its descriptor is not used for another one then.
func unlockFile(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.Flock(int(fd), unix.LOCK_UN) })
}

// readAhead asks the system to read the whole file: it will be needed in an
// order that nobody could guess.
func readAhead(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED) // only makes it faster
}

// unmapPages gives back what a process has in memory of a mapped file: the system
// reads it again where it is needed.
func unmapPages(at uintptr, size int64) {
	length := uintptr(size)                                                  //nolint:gosec // it is mapped
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, length, unix.MADV_DONTNEED) // only saves memory
}

// device is that of the volume which a file is on.
func device(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev) //nolint:unconvert // not everywhere
	}
	return 0
}

// likeFile gives a file the owner that another one has.
func likeFile(f *os.File, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// volumeOf returns what the volume of a directory holds, and what of it can be
// taken.
func volumeOf(dir string) (volume, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return volume{}, fmt.Errorf("asking for the volume's room: %w", err)
	}
	size := int64(st.Bsize)                                                                             //nolint:unconvert // not everywhere
	blocks, free := int64(st.Blocks), int64(st.Bavail)                                                  //nolint:gosec // no volume has as many
	return volume{bytes: blocks * size, free: free * size, kind: kinds[int64(st.Type)&0xffffffff]}, nil //nolint:unconvert // on other machines it is
}

// kinds are file systems whose locks may not reach other machines, or other
// mounts of the same.
var kinds = map[int64]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.CIFS_SUPER_MAGIC: "CIFS",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.FUSE_SUPER_MAGIC: "FUSE",
	unix.V9FS_MAGIC:       "9p",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.CODA_SUPER_MAGIC: "Coda",
}
