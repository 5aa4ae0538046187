package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// fsync is the disk alone: one page written after the other, each followed by
// fdatasync, in the directory of the row's data file.
var fsync = yardstick{name: "the disk alone", start: startFsync}

const (
	// pageBytes is the size of a write.
	pageBytes = 4 << 10
	// pagesAhead is the number of pages allocated in advance, so that writes change the
	// content of the file only.
	pagesAhead = 1024
)

// disk is a file that is written to.
type disk struct{ file *os.File }

func startFsync(_ context.Context, _ *harness, _ *row, s *serviceUnderTest) (contender, error) {
	f, err := os.CreateTemp(s.data, "fsync-")
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(make([]byte, pagesAhead*pageBytes)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &disk{f}, nil
}

// stop implements contender.
func (d *disk) stop() { _ = d.file.Close() } // it goes with the row's directory

// measure implements contender. Its rate is that of fsyncs.
func (d *disk) measure(ctx context.Context, _ *harness, length time.Duration, _ int) (t sample, requests int64, err error) {
	page := make([]byte, pageBytes)
	began := time.Now()
	for time.Since(began) < length && ctx.Err() == nil {
		page[0]++
		if _, err := d.file.WriteAt(page, requests%pagesAhead*pageBytes); err != nil {
			return sample{}, 0, err
		}
		if err := datasync(d.file); err != nil {
			return sample{}, 0, err
		}
		requests++
	}
	t.rate = float64(requests) / time.Since(began).Seconds()
	return t, requests, ctx.Err()
}
