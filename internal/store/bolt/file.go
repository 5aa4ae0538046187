package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
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
	// held is the lock's file as it was opened, on is the volume of the directory.
	held os.FileInfo
	on   uint64
	// identity is what was read of the store's, nil before that.
	identity atomic.Pointer[string]
}

// openDirectory locks a directory. See MakeDirectory.
func openDirectory(path string) (*directory, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	d := &directory{path: path, on: device(info)}
	if err := d.take(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *directory) data() string { return filepath.Join(d.path, dataName) }

// take locks the file that is the lock's now.
func (d *directory) take() error {
	lock, err := os.OpenFile(filepath.Join(d.path, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("locking the directory: %w", err)
	}
	held, err := lock.Stat()
	if err != nil {
		err = fmt.Errorf("locking the directory: %w", err)
	} else {
		err = lockFile(lock, true, lockWait)
	}
	if err != nil {
		_ = lock.Close()
		return err
	}
	if d.lock != nil {
		_ = d.lock.Close() // which nobody can come upon any more
	}
	d.lock, d.held = lock, held
	return nil
}

func (d *directory) close() error { return d.lock.Close() }

// isLocked reports whether the lock is still the file that others would ask.
func (d *directory) isLocked() bool {
	info, err := os.Stat(filepath.Join(d.path, lockName))
	return err == nil && os.SameFile(info, d.held)
}

// errVolume: there is something else where the volume was.
var errVolume = errors.New("the directory is on another volume than when it was opened: is that still mounted?")

// restore makes the directory, its lock and its identity again, where they are
// gone. It makes no parents, and nothing on another volume.
func (d *directory) restore() error {
	info, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = os.Stat(filepath.Dir(d.path)); err == nil && device(info) == d.on {
			if err = os.Mkdir(d.path, 0o700); err == nil {
				err = syncDir(filepath.Dir(d.path))
			}
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("making the directory again: %w", err)
	case device(info) != d.on:
		return errVolume
	case d.isLocked():
	default:
		if err := d.take(); err != nil {
			return err
		}
	}
	return d.restoreIdentity()
}

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
	data, err := newData(temp, nil, boltOptions())
	if err != nil {
		return err
	}
	if err := data.db.Close(); err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	return d.adopt(temp)
}

// newData makes a data file without sessions. fill puts into it what it needs
// besides.
func newData(path string, fill func(tx *bbolt.Tx, meta *bbolt.Bucket) error, options *bbolt.Options) (*data, error) {
	d, err := openBolt(path, os.O_CREATE|os.O_EXCL, nil, options)
	if err != nil {
		return nil, fmt.Errorf("making the data file: %w", err)
	}
	err = d.update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists([]byte(logBucket)); err != nil {
			return err
		}
		b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
		if err != nil {
			return err
		}
		if fill != nil {
			if err := fill(tx, b); err != nil {
				return err
			}
		}
		return b.Put([]byte(formatKey), formatValue())
	})
	if err != nil {
		d.close()
		return nil, fmt.Errorf("making the data file: %w", err)
	}
	return d, nil
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
		// What a file has at least, so that a new one is not mapped anew again and again.
		InitialMmapSize: 1 << 20,
	}
}

// data is an open data file.
type data struct {
	db   *bbolt.DB
	file *os.File // bbolt's
	info os.FileInfo
	// pageSize is known here, since bbolt looks into its map for it.
	pageSize int64
}

// openBolt lets bbolt open a file, which must be the same as the one that info is
// of, unless that is nil. A fault in bbolt's memory map, or a panic, is an error.
func openBolt(path string, flags int, same os.FileInfo, options *bbolt.Options) (d *data, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("opening the data file: %w", asError(p))
		}
	}()
	opened, logger := new(data), new(alarm)
	options.Logger = logger
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE|flags, mode) //nolint:gosec // the operator names the directory
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && same != nil && !os.SameFile(info, same) {
			err = errReplaced
		}
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		opened.file, opened.info = f, info
		return f, nil
	}
	opened.db, err = bbolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, boltErrors.ErrTimeout):
		return nil, fmt.Errorf("opening the data file: %w", ErrInUse)
	case err != nil:
		return nil, fmt.Errorf("opening the data file: %w", err)
	}
	opened.pageSize = int64(opened.db.Info().PageSize)
	logger.armed.Store(true)
	return opened, nil
}

// update runs a transaction.
func (d *data) update(do func(tx *bbolt.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	return d.db.Update(do)
}

// openData opens the data file, which must be the same as the one that info is
// of. It is checked already.
func openData(path string, same os.FileInfo) (*data, error) {
	d, err := openBolt(path, 0, same, boltOptions())
	if err != nil {
		return nil, err
	}
	if err := settleHeads(d.file, 2*d.pageSize); err != nil {
		d.close()
		return nil, err
	}
	// bbolt has looked through all of it, for what is free, and will need little.
	unmapPages(d.db.Info().Data, d.info.Size()/d.pageSize*d.pageSize)
	return d, nil
}

// closeWait is how long bbolt may take to close a file. Where it has met a fault
// it may hold a lock for ever.
const closeWait = time.Second

// close closes the file, or leaves it to the end of the process.
func (d *data) close() {
	closed := make(chan struct{})
	go func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer close(closed)
		defer func() { _ = recover() }() // the file is not used any more
		_ = d.db.Close()
	}()
	over := time.NewTimer(closeWait)
	defer over.Stop()
	select {
	case <-closed:
	case <-over.C:
		unlockFile(d.file)
		_ = d.file.Close()
	}
}

var errReplaced = errors.New("it is not the file that this process has used so far")

// settleHeads makes sure that the file's heads are on the disk as they are
// read, see the package comment.
func settleHeads(file *os.File, size int64) error {
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

// openForReading opens the data file, or what stands in its place: a pipe there
// must not keep anybody waiting for its other end.
func openForReading(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the directory
}
