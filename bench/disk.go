package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// fsync is what the disk does alone: one write of a page after the other, each
// followed by fdatasync, in the directory of the row's file.
var fsync = yardstick{name: "the disk alone", start: startFsync}

const (
	// pageBytes is how much is written at a time.
	pageBytes = 4 << 10
	// pagesAhead are in the file before: writing over them changes no more of
	// the file than its content.
	pagesAhead = 1024
)

// disk is a file that is written to.
type disk struct{ file *os.File }

func startFsync(_ context.Context, _ *lab, _ *row, s *subject) (side, error) {
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

// stop implements side.
func (d *disk) stop() { _ = d.file.Close() } // it goes with the row's directory

// take implements side. Its rate is that of fsyncs.
func (d *disk) take(ctx context.Context, _ *lab, length time.Duration, _ int) (t turn, requests int64, err error) {
	page := make([]byte, pageBytes)
	began := time.Now()
	for time.Since(began) < length && ctx.Err() == nil {
		page[0]++
		if _, err := d.file.WriteAt(page, requests%pagesAhead*pageBytes); err != nil {
			return turn{}, 0, err
		}
		if err := datasync(d.file); err != nil {
			return turn{}, 0, err
		}
		requests++
	}
	t.rate = float64(requests) / time.Since(began).Seconds()
	return t, requests, ctx.Err()
}
