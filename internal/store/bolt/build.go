package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// ErrHasData: the directory holds a data file already.
var ErrHasData = errors.New("there is a data file in it already")

const (
	// buildName is the directory in which a data file is made.
	buildName = "sessions.db.building"
	// buildInterval is how long what is put into it may wait for the disk.
	buildInterval = time.Second
)

// Build makes the data file of a directory that has none, out of what fill hands to it:
// sessions in the order of their uses, and requests the oldest first. It has its place only once fill
// has returned without an error, and all is on the disk. Returns ErrHasData and
// ErrInUse.
func Build(now time.Time, dir string, fill func(to Sink) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("data directory %s: %w", dir, err)
		}
	}()
	if err := MakeDirectory(dir); err != nil {
		return err
	}
	d, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if _, err := os.Lstat(d.data()); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(ErrHasData, err)
	}
	temp := filepath.Join(dir, buildName)
	if err := os.RemoveAll(temp); err != nil { // of one that was interrupted
		return fmt.Errorf("removing what was left over: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := build(now, temp, fill); err != nil {
		return err
	}
	if err := giveOver(temp, dataName); err != nil {
		return err
	}
	if err := d.adopt(filepath.Join(temp, dataName)); err != nil {
		return err
	}
	return giveOver(dir, lockName, dataName)
}

func build(now time.Time, temp string, fill func(to Sink) error) error {
	s, err := Open(now, Options{
		Dir: temp, Interval: buildInterval,
		Memory: memory.Options{
			Policy: memory.LRU, MaxEntries: math.MaxInt32, // the order of uses is kept
			Requests: memory.RequestLimits{Entries: math.MaxInt32, Bytes: math.MaxInt64},
		},
	})
	if err != nil {
		return err
	}
	err = fill(Sink{
		Session: func(sess schema.Session) error {
			sess.Trusted = true
			return s.Create(context.Background(), now, sess, backend.Revive)
		},
		Request: func(key backend.RequestKey, r backend.Request) error {
			return s.restoreRequest(context.Background(), now, key, r)
		},
	})
	return errors.Join(err, s.Close())
}
