package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	memorystore "session-api/internal/store/memory"
)

const (
	// dataFileRow is what the figures of the data file are called.
	dataFileRow = "data file"
	// dataFileCommand makes this program measure it, in a process of its own.
	dataFileCommand = "measure-data-file"

	// shortSessions come and go, keptSessions stay, and writtenSessions are changed one
	// at a time and by manyWriters.
	shortSessions   = 200 * thousand
	keptSessions    = 100 * thousand
	writtenSessions = 10 * thousand
	changes         = 3 * thousand
	manyWriters     = 64
	fillers         = 256
	// quietTime is how long it may take until a file that is not changed is small again:
	// some seconds until it is written anew, and that.
	quietTime = 2 * time.Minute
)

// startSizes are the numbers of sessions that a start is measured with; the last one
// only where a million is wanted.
var startSizes = [...]int{10 * thousand, 100 * thousand, million}

// dataFileFigures are what sessions take in the data file, in bytes, and how long a
// start takes, in seconds.
type dataFileFigures struct {
	// After is the file's size after short sessions came and went. Filled, Patched and
	// Quiet are what each session takes once all are created, once each was changed,
	// and some time later.
	After, Filled, Patched, Quiet float64
	// One and Many are what is written to the disk for a change, by one writer and by
	// many.
	One, Many float64
	// Memory is what the store has reachable after a start, Mapped what of mapped files
	// is in memory.
	Memory, Mapped float64
	// Starts are by startSizes.
	Starts []float64
}

// measureDataFile runs the command.
func (l *harness) measureDataFile(ctx context.Context) (*dataFileFigures, error) {
	l.logf("%s: %d sessions come and go, %d stay", dataFileRow, shortSessions, keptSessions)
	f := &dataFileFigures{}
	return f, runSelf(ctx, f, dataFileCommand, strconv.FormatBool(l.million))
}

// figures are the lines of the table.
func (f *dataFileFigures) figures() []figure {
	line := func(what string, v float64, format func(float64) string, t target) figure {
		return absoluteFigure(dataFileRow, what, singleValue(v), format, t)
	}
	list := []figure{
		line("written to the disk for a change, 1 writer", f.One, inBytes, target{atMost: 12_000}),
		line(fmt.Sprintf("the same, %d writers", manyWriters), f.Many, inBytes, target{atMost: 2_200}),
		line(fmt.Sprintf("its size after %d sessions came and went", shortSessions), f.After/1e6, inMegabytes, target{atMost: 17}),
		line(fmt.Sprintf("each of %d sessions, filled", keptSessions), f.Filled, inBytes, target{atMost: 2_200}),
		line("the same after each was changed once", f.Patched, inBytes, target{}),
		line("the same once the file was written anew", f.Quiet, inBytes, target{atMost: 2_200}),
		line("memory of the store after a start with these, per session and its document", f.Memory/keptSessions, inBytes, target{}),
		line("pages of files in memory beside that", f.Mapped/1e6, inMegabytes, target{}),
	}
	for i, took := range f.Starts {
		list = append(list, line(fmt.Sprintf("start of the store with %d sessions", startSizes[i]), took, inSeconds, target{}))
	}
	return list
}

// measureDataFileHere is the command: it writes the figures as JSON.
func measureDataFileHere(ctx context.Context, args []string, stdout io.Writer) (err error) {
	if len(args) != 1 {
		return fmt.Errorf("%s takes whether a million sessions are wanted", dataFileCommand)
	}
	withMillion, err := strconv.ParseBool(args[0])
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "session-api-data-file-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := newStoreMeter()
	if err != nil {
		return err
	}
	f := &dataFileFigures{}
	d := &dataFileMeter{storeMeter: m, dir: dir}
	for _, measure := range []func(context.Context, *dataFileFigures) error{d.writes, d.sizes, d.short} {
		if err := measure(ctx, f); err != nil {
			return err
		}
	}
	for _, n := range startSizes {
		if n == million && !withMillion {
			continue
		}
		took, err := d.start(ctx, n)
		if err != nil {
			return err
		}
		f.Starts = append(f.Starts, took.Seconds())
	}
	return json.NewEncoder(stdout).Encode(f)
}

// dataFileMeter measures in a directory.
type dataFileMeter struct {
	*storeMeter
	dir string
}

func (d *dataFileMeter) open(name string, interval time.Duration) (*bolt.Store, error) {
	return bolt.Open(d.now, bolt.Options{
		Dir: filepath.Join(d.dir, name), Interval: interval, CommitTimeout: 10 * time.Second,
		Memory: memorystore.Options{MaxEntries: 2 * million},
	})
}

func (d *dataFileMeter) size(name string) (float64, error) {
	info, err := os.Stat(filepath.Join(d.dir, name, "sessions.db"))
	if err != nil {
		return 0, err
	}
	return float64(info.Size()), nil
}

// each calls do with the numbers below n, on many goroutines.
func each(n, goroutines int, do func(i int) error) error {
	errs := make([]error, goroutines)
	var next atomic.Int64
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && errs[g] == nil; i = next.Add(1) - 1 {
				errs[g] = do(int(i))
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// fill creates sessions, and returns them.
func (d *dataFileMeter) fill(ctx context.Context, s *bolt.Store, n int) ([]schema.Session, error) {
	all := make([]schema.Session, n)
	return all, each(n, fillers, func(i int) error {
		all[i] = d.model.WithID(schema.NewID())
		all[i].CreatedAt = d.now.Add(time.Duration(i/perMilli) * time.Millisecond)
		return s.Create(ctx, d.now, all[i])
	})
}

// change changes one of the sessions, which nobody else changes at the time.
func (d *dataFileMeter) change(ctx context.Context, s *bolt.Store, sess *schema.Session) error {
	next := *sess
	next.Revision++
	got, err := s.Swap(ctx, d.now, *sess, next)
	*sess = got
	return err
}

// writes measures what is written to the disk for changes.
func (d *dataFileMeter) writes(ctx context.Context, f *dataFileFigures) error {
	s, err := d.open("writes", 0)
	if err != nil {
		return err
	}
	all, err := d.fill(ctx, s, writtenSessions)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		writers int
		each    *float64
	}{{1, &f.One}, {manyWriters, &f.Many}} {
		before, err := writtenToDisk()
		if err != nil {
			return err
		}
		if err := each(changes, w.writers, func(i int) error { return d.change(ctx, s, &all[i]) }); err != nil {
			return err
		}
		after, err := writtenToDisk()
		if err != nil {
			return err
		}
		*w.each = float64(after-before) / changes
	}
	return s.Close()
}

// sizes measures the file with sessions that stay, and the memory after a start.
func (d *dataFileMeter) sizes(ctx context.Context, f *dataFileFigures) error {
	const name = "sizes"
	s, err := d.open(name, 0)
	if err != nil {
		return err
	}
	all, err := d.fill(ctx, s, keptSessions)
	if err != nil {
		return err
	}
	note := func(to *float64) error {
		size, err := d.size(name)
		*to = size / keptSessions
		return err
	}
	if err := note(&f.Filled); err != nil {
		return err
	}
	if err := each(keptSessions, fillers, func(i int) error { return d.change(ctx, s, &all[i]) }); err != nil {
		return err
	}
	if err := note(&f.Patched); err != nil {
		return err
	}
	look := time.NewTicker(restPoll)
	defer look.Stop()
	for began := time.Now(); time.Since(began) < quietTime && (f.Quiet == 0 || f.Quiet >= f.Patched); {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := note(&f.Quiet); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	all, s = nil, nil
	before := heap()
	if s, err = d.open(name, 0); err != nil {
		return err
	}
	f.Memory = heap() - before
	if f.Mapped, err = number("/proc/self/status", "RssFile:"); err != nil {
		return err
	}
	f.Mapped *= 1024
	return s.Close()
}

// short measures the file after short sessions came and went.
func (d *dataFileMeter) short(ctx context.Context, f *dataFileFigures) error {
	const name = "short"
	s, err := d.open(name, 0)
	if err != nil {
		return err
	}
	if err := each(shortSessions, fillers, func(int) error {
		sess := d.model.WithID(schema.NewID())
		if err := s.Create(ctx, d.now, sess); err != nil {
			return err
		}
		return s.Delete(ctx, d.now, backend.Key{Namespace: sess.Namespace, ID: sess.ID}, 0)
	}); err != nil {
		return err
	}
	if f.After, err = d.size(name); err != nil {
		return err
	}
	return s.Close()
}

// start returns how long the store takes to open a file of so many sessions.
func (d *dataFileMeter) start(ctx context.Context, n int) (time.Duration, error) {
	name := "start-" + strconv.Itoa(n)
	s, err := d.open(name, time.Second)
	if err != nil {
		return 0, err
	}
	if _, err := d.fill(ctx, s, n); err != nil {
		return 0, err
	}
	if err := s.Close(); err != nil {
		return 0, err
	}
	debug.FreeOSMemory()
	began := time.Now()
	if s, err = d.open(name, 0); err != nil {
		return 0, err
	}
	took := time.Since(began)
	st, err := s.Stats(ctx, d.now)
	if err == nil && st.Entries != int64(n) {
		err = fmt.Errorf("of %d sessions %d are there after the start", n, st.Entries)
	}
	return took, errors.Join(err, s.Close())
}

// writtenToDisk is how many bytes this process has written to disks: whole pages, as
// Linux counts them.
func writtenToDisk() (int64, error) {
	n, err := number("/proc/self/io", "write_bytes:")
	return int64(n), err
}

// number returns the number after a name in a file of /proc.
func number(path, name string) (n float64, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			_, err = fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
