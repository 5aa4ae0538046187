package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// ErrNoData: the directory has no data file, and must have one.
var ErrNoData = errors.New("there is no data file in it")

// errNoParent: the directory is not there, nor is the one that it would be in.
var errNoParent = errors.New("neither the directory nor its parent exists: " +
	"a mistake in the path, or a volume that is not mounted")

// prepareDirectory makes the directory where there is none, unless it must exist,
// and reports whether it has no data file. It makes no parents: a path that leads
// nowhere is a mistake, and what is made below the place of a volume disappears
// once that is mounted.
func prepareDirectory(path string, existing bool) (isNew bool, err error) {
	_, err = os.Lstat(filepath.Join(path, dataName))
	switch {
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("looking for the data file: %w", err)
	case existing:
		return false, ErrNoData
	}
	return true, MakeDirectory(path)
}

// MakeDirectory makes a data directory where there is none, but not its parents.
func MakeDirectory(path string) error {
	err := os.Mkdir(path, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errNoParent
	case err != nil:
		return fmt.Errorf("making the directory: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// sayLoaded says what a start has found.
func (l *loader) sayLoaded(log *slog.Logger, file os.FileInfo, isNew bool, back int, took time.Duration) {
	if isNew {
		log.Info("new data file made: there are no sessions yet", "dir", filepath.Dir(l.path()))
		return
	}
	log.Info("sessions loaded", "sessions", len(l.held.live), "bytes", l.liveBytes(), "expired", l.held.expired, "heldBack", back,
		"fileBytes", file.Size(), "lastWritten", file.ModTime().UTC().Truncate(time.Second), "took", took.Round(time.Millisecond), "file", l.path())
	switch {
	case l.now.Before(file.ModTime()):
		log.Warn("the clock stands before the time at which the data file was written last", "now", l.now, "lastWritten", file.ModTime().UTC())
	case back > 0 && !l.s.readOnly:
		log.Warn("sessions have expired since the data file was written last; if the clock is ahead, set it back, and they live again",
			"sessions", back, "until", l.now.Add(proof), "now", l.now, "lastWritten", file.ModTime().UTC())
	case back > 0:
		log.Warn("sessions have expired since the data file was written last, and are left out: is the clock right?",
			"sessions", back, "now", l.now, "lastWritten", file.ModTime().UTC())
	}
}

func (l *loader) path() string { return l.file.Name() }

// liveBytes is what the sessions take in memory, as its budget counts it.
func (l *loader) liveBytes() int64 {
	st, err := l.s.Store.Stats(context.Background(), l.now)
	if err != nil {
		return 0
	}
	return st.Bytes
}
