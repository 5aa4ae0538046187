package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"session-api/internal/store/bolt/datafile"

	"go.etcd.io/bbolt"
)

// Report is what Check found in a data file that is not damaged.
type Report struct {
	// Path is the file, Bytes its size, Free how many of these are.
	Path        string
	Bytes, Free int64
	// Sessions are live, Expired are not any more.
	Sessions, Expired int
	// Graces are old keys that lead to a session, Tombstones keys that are
	// taken because a session of them was ended lately.
	Graces, Tombstones int
	// Requests are those with an Idempotency-Key that have not expired.
	Requests int
	// Entries is how many entries the log has, those among them that do not
	// count any more.
	Entries int64
	// Version is that of the file's format.
	Version int
	// Live is how many bytes the live sessions take in the log, Largest those of the
	// largest. Compacted is about what the file would have after a compaction.
	Live, Largest, Compacted int64
}

// Check checks every page and every value of the data file in a directory, and
// writes nothing. Returns ErrInUse, ErrDamaged, and fs.ErrNotExist where there
// is no file.
func Check(now time.Time, dir string) (Report, error) {
	path := filepath.Join(dir, dataName)
	report, err := check(now, dir, path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

func check(now time.Time, dir, path string) (Report, error) {
	file, err := openForReading(path)
	if err != nil {
		return Report{}, fmt.Errorf("opening the data file: %w", withoutPath(err))
	}
	defer func() { _ = file.Close() }()
	unlock, err := lockToRead(dir)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	readAhead(file)
	held, err := readContent(file, now)
	if err != nil {
		return Report{}, err
	}
	if err := askBolt(path); err != nil {
		return Report{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("reading the data file: %w", withoutPath(err))
	}
	report := Report{
		Path: path, Bytes: info.Size(), Free: info.Size() - int64(held.used)*held.pageSize, //nolint:gosec // no more than the file has
		Requests: len(held.requests),
		Sessions: len(held.live), Expired: held.expired, Graces: len(held.graces), Tombstones: len(held.ended), Entries: held.entries, Version: held.version,
	}
	counting := int64(0)
	for _, all := range [][]place{held.live, held.ended, held.requests, held.expiredPlaces} {
		for i := range all {
			counting += int64(all[i].size) + entryBytes
		}
	}
	for i := range held.live {
		report.Live += int64(held.live[i].size) + entryBytes
		report.Largest = max(report.Largest, int64(held.live[i].size))
	}
	report.Compacted = min(report.Bytes, counting+counting/16+8*held.pageSize)
	return report, nil
}

// askBolt hears a second opinion of a file that seems to be in order.
func askBolt(path string) error {
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockWait, PreLoadFreelist: true})
	if err != nil {
		return fmt.Errorf("opening the data file: %w", err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		var found []error
		for one := range tx.Check() {
			found = append(found, one)
		}
		return errors.Join(found...)
	})
	if err != nil {
		err = datafile.Damaged("%v", err)
	}
	return errors.Join(err, db.Close())
}

// lockToRead keeps services from opening the directory. Where there is no file
// to lock, and none can be made, there is none that could.
func lockToRead(dir string) (unlock func(), err error) {
	lock, err := os.Open(filepath.Join(dir, lockName)) //nolint:gosec // the operator names the directory
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return func() {}, nil
	case err != nil:
		return nil, fmt.Errorf("locking the directory: %w", withoutPath(err))
	}
	if err := lockFile(lock, false, 0); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return func() { _ = lock.Close() }, nil
}

// MoveAside gives the data file of a directory another name, which it returns,
// so that the next Open starts with an empty one. Returns ErrInUse.
func MoveAside(now time.Time, dir string) (string, error) {
	d, err := openDirectory(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", dir, err)
	}
	to := d.data() + now.UTC().Format(".damaged-20060102T150405Z")
	if _, err = os.Lstat(to); err == nil {
		err = fmt.Errorf("%s is there already", to)
	} else if err = os.Rename(d.data(), to); err == nil {
		err = syncDir(dir)
	}
	return to, errors.Join(err, d.close())
}

// withoutPath returns an error that leaves the path to the one that wraps it.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
