package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"
)

// restart starts the service again and again, over the sessions in its file.
type restart struct {
	row     *row
	subject *serviceUnderTest
}

// prepareRestart leaves the service running: each turn stops it first.
func prepareRestart(_ context.Context, _ *harness, r *row, s *serviceUnderTest) (contender, error) {
	return &restart{r, s}, nil
}

// stop implements contender.
func (r *restart) stop() {}

// measure implements contender: it is one start, until a session is answered.
func (r *restart) measure(ctx context.Context, l *harness, _ time.Duration, _ int) (t sample, requests int64, err error) {
	r.subject.server.stop()
	if r.subject.server, err = l.startService(ctx, r.row, "service", r.subject); err != nil {
		return sample{}, 0, err
	}
	// The last of them: all that is before it in the file has been read, too.
	last := r.subject.callers[len(r.subject.callers)-1]
	if _, err := l.do(ctx, r.subject.server.addr, http.MethodGet, sessionPath, "", http.StatusOK, last.header); err != nil {
		return sample{}, 0, err
	}
	t.elapsed = time.Since(r.subject.server.began)
	stats, err := l.counters(ctx, r.subject.server)
	if err != nil {
		return sample{}, 0, err
	}
	if n := stats.metrics[`session_api_sessions{store="bolt"}`]; n != float64(r.row.sessions) {
		return sample{}, 0, fmt.Errorf("of %d sessions %.0f are there after the start", r.row.sessions, n)
	}
	r.subject.fileBytes, err = sizeOf(r.subject.data)
	return t, 1, err
}

// sizeOf is how many bytes the files of a directory have.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// fileFigures are what the sessions take on the disk.
func fileFigures(_ *report, res *result) []figure {
	each := float64(res.fileBytes) / float64(res.sessions)
	return []figure{absoluteFigure(res.name, "file, per session", singleValue(each), inBytes, target{})}
}
