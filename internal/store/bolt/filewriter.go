package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
)

// buildBatch is how many bytes go into one transaction of a file that is made.
const buildBatch = 16 << 20

// fileWriter makes a data file out of the entries of another. Nobody uses it until
// it is finished.
type fileWriter struct {
	db    *bbolt.DB
	path  string
	tx    *bbolt.Tx
	bytes int
}

// newFileWriter begins a data file at the path.
func newFileWriter(path string) (*fileWriter, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing what was left over: %w", err)
	}
	options := &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true, NoGrowSync: true}
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil {
		return nil, fmt.Errorf("making the data file: %w", err)
	}
	w := &fileWriter{db: db, path: path}
	if err := w.put(metaBucket, []byte(formatKey), formatValue()); err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	if err := w.bucket(logBucket); err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	return w, nil
}

func (w *fileWriter) bucket(name string) error {
	if w.tx == nil {
		var err error
		if w.tx, err = w.db.Begin(true); err != nil {
			return fmt.Errorf("making the data file: %w", err)
		}
	}
	if _, err := w.tx.CreateBucketIfNotExists([]byte(name)); err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	return nil
}

// put puts a value that was sealed for that key. The bytes may be used again.
func (w *fileWriter) put(bucket string, key, value []byte) error {
	if err := w.bucket(bucket); err != nil {
		return err
	}
	b := w.tx.Bucket([]byte(bucket))
	b.FillPercent = 1 // they come in order
	if err := b.Put(append([]byte(nil), key...), append([]byte(nil), value...)); err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	if w.bytes += len(value) + entryBytes; w.bytes < buildBatch {
		return nil
	}
	return w.commit()
}

// noteTally notes that the log has so many entries, from the number 1 on.
func (w *fileWriter) noteTally(entries int64) error {
	if err := w.bucket(logBucket); err != nil {
		return err
	}
	t := tallyOf(uint64(entries), entries) //nolint:gosec // it counts
	if err := w.tx.Bucket([]byte(logBucket)).SetSequence(uint64(t)); err != nil {
		return fmt.Errorf("making the data file: %w", err)
	}
	return nil
}

func (w *fileWriter) commit() error {
	tx := w.tx
	w.tx, w.bytes = nil, 0
	if tx == nil {
		return nil
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing the data file: %w", err)
	}
	return nil
}

// finish writes all to the disk, and gives the file the mode and the owner of
// another one.
func (w *fileWriter) finish(like os.FileInfo) error {
	err := w.commit()
	if err == nil {
		err = w.db.Sync()
	}
	if err = errors.Join(err, w.db.Close()); err != nil {
		return fmt.Errorf("writing the data file: %w", err)
	}
	if err := os.Chmod(w.path, like.Mode().Perm()); err != nil {
		return fmt.Errorf("the mode of the data file: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := chownLike(w.path, like); err != nil {
			return fmt.Errorf("the owner of the data file: %w", err)
		}
	}
	return nil
}

// abandon removes what there is of the file.
func (w *fileWriter) abandon() error {
	if w.tx != nil {
		_ = w.tx.Rollback() // nothing of it is kept
	}
	return errors.Join(w.db.Close(), os.Remove(w.path))
}
