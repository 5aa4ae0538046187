package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	boltErrors "go.etcd.io/bbolt/errors"
)

// The files of a directory.
const (
	dataName = "sessions.db"
	lockName = "sessions.lock"
	tempName = "sessions.db.new"
)

// ErrInUse: another process has the directory.
var ErrInUse = errors.New("another process uses it")

// lockWait is how long one process waits for another to leave: one that has
// just been told to stop may be about to.
const lockWait = time.Second

// directory is where the data file is, locked for this process.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes the directory where there is none, and locks it.
func openDirectory(path string) (*directory, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("making the directory: %w", err)
		}
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	if err := lockFile(lock, true, lockWait); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &directory{path, lock}, nil
}

func (d *directory) data() string { return filepath.Join(d.path, dataName) }

func (d *directory) close() error { return d.lock.Close() }

// create makes an empty data file, unless there is one. It appears under its
// name only once it is complete.
func (d *directory) create() error {
	temp := filepath.Join(d.path, tempName)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what was left over: %w", err)
	}
	if _, err := os.Stat(d.data()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(temp, 0o600, boltOptions())
	if err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{logBucket, metaBucket} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(formatKey), formatValue())
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	return d.adopt(temp)
}

// adopt makes the temporary file, which has been synced, the data file.
func (d *directory) adopt(temp string) error {
	if err := os.Rename(temp, d.data()); err != nil {
		return fmt.Errorf("putting the data file in its place: %w", err)
	}
	return syncDir(d.path)
}

func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the operator names the directory
	if err != nil {
		return fmt.Errorf("syncing the directory: %w", err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the directory: %w", err)
	}
	return nil
}

func boltOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:        lockWait,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	}
}

// openData opens the data file, which must be the same as the one that info is
// of, unless that is nil. It is checked already, or was opened before.
func openData(path string, same os.FileInfo) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("opening the data file: %v", p)
		}
	}()
	var file *os.File
	options := boltOptions()
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode) //nolint:gosec // the operator names the directory
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || same != nil && !os.SameFile(info, same) {
			_ = f.Close()
			return nil, errors.Join(err, errReplaced)
		}
		file = f
		return f, nil
	}
	db, err = bbolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, boltErrors.ErrTimeout):
		return nil, fmt.Errorf("opening the data file: %w", ErrInUse)
	case err != nil:
		return nil, fmt.Errorf("opening the data file: %w", err)
	}
	if err := settleHeads(file, 2*db.Info().PageSize); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

var errReplaced = errors.New("it is not the file that this process has used so far")

// settleHeads makes sure that the file's heads are on the disk as they are
// read, see the package comment.
func settleHeads(file *os.File, size int) error {
	b := make([]byte, size)
	if _, err := file.ReadAt(b, 0); err != nil {
		return fmt.Errorf("reading the data file: %w", err)
	}
	if _, err := file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("writing the data file: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("syncing the data file: %w", err)
	}
	return nil
}

// What makes it worth to write a file anew.
const (
	compactFree  = 32 << 20 // bytes that are free at least, and half of the file
	compactBatch = 16 << 20
)

// worthCompacting reports whether most of the file is free.
func (c *content) worthCompacting() bool {
	free := c.pages - c.used
	return free > c.used && free*uint64(c.pageSize) > compactFree //nolint:gosec // a page size is not negative
}

// compact writes the data file anew, without what is free in it.
func (d *directory) compact() (err error) {
	src, err := openData(d.data(), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	temp := filepath.Join(d.path, tempName)
	options := boltOptions()
	options.NoSync = true
	dst, err := bbolt.Open(temp, 0o600, options)
	if err != nil {
		return fmt.Errorf("compacting the data file: %w", err)
	}
	if err = bbolt.Compact(dst, src, compactBatch); err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("compacting the data file: %w", errors.Join(err, os.Remove(temp)))
	}
	return d.adopt(temp)
}
