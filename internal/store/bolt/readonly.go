package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// openToRead loads a data file that nobody writes: that of a service which is
// stopped, a copy, or one on a volume that takes no writes. It makes nothing in
// the directory.
func (s *Store) openToRead(now time.Time, o *Options) error {
	began := startClock()
	path := filepath.Join(o.Dir, dataName)
	file, err := openForReading(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoData
	case err != nil:
		return fmt.Errorf("opening the data file: %w", withoutPath(err))
	}
	defer func() { _ = file.Close() }()
	unlock, err := lockToRead(o.Dir)
	if err != nil {
		return err
	}
	s.dir = &directory{path: o.Dir}
	s.unlock = unlock
	c := &s.committer
	c.path = path
	c.cause = errReadOnly
	c.failed.set()
	close(c.stopped)
	readAhead(file)
	held, err := readContent(file, now)
	if err == nil {
		back := holdBack(held)
		l := &loader{s, file, held, now, o.EndAttempts}
		if err = l.fillMemory(&o.Memory, o.Logger); err == nil {
			c.info, err = file.Stat()
			if err == nil {
				l.sayLoaded(o.Logger, c.info, false, len(back), began.now())
				return nil
			}
		}
	}
	unlock()
	return err
}

// errReadOnly: the store was opened to be read.
var errReadOnly = errors.New("the data directory is used read-only (SESSION_DATA_READONLY)")
