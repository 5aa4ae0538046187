// Package cleanup prunes what sessions leave behind: sessions that have
// expired, and files in one directory that no live session refers to any more.
//
// The directory must be ours: a marker in it names the store whose sessions
// refer to its files, and another store's job leaves it alone, see Claim.
//
// The job deletes regular files and empty directories beneath that directory and
// nothing else. What looks like a project it does not enter. It never follows a symbolic link, opens no file, and looks at a
// file again in the moment before it deletes it. Any number of jobs, in any
// number of processes, may clean one directory.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"session-api/internal/schema"
)

// Sweeper frees expired sessions.
type Sweeper interface {
	// Sweep frees what has expired at now and returns how many sessions that
	// were.
	Sweep(ctx context.Context, now time.Time) (int, error)
}

// References knows the files that live sessions refer to, in the words of the
// clients that wrote them: relative to the directory, or absolute inside it. A
// reference to a directory is one to all beneath it.
type References interface {
	// Files calls yield with each of them, in no order, possibly more than
	// once. It returns yield's error as it is, and an error of its own if it
	// could not name all of them.
	Files(ctx context.Context, now time.Time, yield func(path string) error) error
	// HasFile reports whether any of the paths is among them.
	HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error)
}

// Job cleans one directory. Its methods may be called from many goroutines at
// once.
type Job struct {
	dir                  string
	interval, grace, ttl time.Duration
	sweeper              Sweeper
	references           References
	locker               Locker // may be nil
	logger               *slog.Logger
	now                  func() time.Time
	clock                *clock

	// turn holds a token while a run is under way.
	turn chan struct{}

	known     bool
	own       []OwnFile
	storeKind string
	identity  func(ctx context.Context) (string, error)
	changed   func(fs.FileInfo) time.Time
	born      func(dir *os.File, name string) (time.Time, bool)

	claiming sync.Mutex
	claims   claims

	mu     sync.Mutex
	last   *Report
	totals Totals
	status Status
}

// dirMode is the mode of a directory that a job makes. Workers that run as
// another user need one that was made for both.
const dirMode = 0o700

// New makes a job, and its directory if that is missing. It returns what
// Options.Validate says of the settings. That the directory cannot be made is
// only logged: each run reports it, until somebody makes it.
func New(o Options) (*Job, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	j := &Job{
		dir:      filepath.Clean(o.Dir),
		interval: o.Interval, grace: o.Grace, ttl: o.TTL,
		sweeper: o.Sweeper, references: o.References, locker: o.Locker,
		logger: o.Logger, now: o.Now, clock: newClock(&o),
		turn:  make(chan struct{}, 1),
		known: o.Known, own: o.Own, storeKind: o.StoreKind, identity: o.Identity, changed: o.changed,
		born:   func(*os.File, string) (born time.Time, ok bool) { return born, false },
		status: Unavailable,
	}
	if j.changed == nil {
		j.changed, j.born = lastChange, birthTime
	}
	if j.logger == nil {
		j.logger = slog.New(slog.DiscardHandler)
	}
	if err := os.Mkdir(j.dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		j.logger.Warn("the cleanup's directory cannot be made",
			slog.String("directory", escape(j.dir)), slog.String("error", cause(err).Error()))
	}
	j.settle()
	return j, nil
}

// settle remembers which directory the job is for, and marks it as one that is
// cleaned, for whichever store comes to claim it: from now on workers may write
// there. What is in the way each run reports.
func (j *Job) settle() {
	root, info, err := openDir(j.dir)
	if err != nil {
		return
	}
	defer shut(root)
	j.claiming.Lock()
	defer j.claiming.Unlock()
	if at, err := placeOf(root, info); err == nil {
		j.claims.at = &at
	}
	if f, _, err := openMarker(root); err == nil {
		shut(f)
	} else if errors.Is(err, fs.ErrNotExist) {
		_ = j.mark(root)
	}
}

// claimTimeout is how long the store may take to say, when Loop begins, whose files
// it is about.
const claimTimeout = 10 * time.Second

// Loop runs the job each interval until ctx ends. Before that, it claims the
// directory, so that the log says if there will be nothing to clean. No failure of
// a run ends it.
// A run that another instance's stands in the way of is left out, and tried
// again after a tenth of the interval: instances may have directories of their
// own, and none of these must wait forever.
func (j *Job) Loop(ctx context.Context) {
	claiming, cancel := context.WithTimeout(ctx, claimTimeout)
	_ = j.Claim(claiming) // it is logged, and tried again by each run
	cancel()
	if j.interval == 0 {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(j.interval)
	defer ticker.Stop()
	early := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ran := j.tick(ctx)
		switch {
		case !ran && !early:
			ticker.Reset(max(j.interval/10, leasePoll))
		case ran && early:
			ticker.Reset(j.interval)
		}
		early = !ran
	}
}

// tick is one run of the loop. Run turns panics of the store into errors; one
// that still arrives comes from the logger, so there is nowhere to tell it. It
// reports whether it was this instance's turn.
func (j *Job) tick(ctx context.Context) (ran bool) {
	defer func() { _ = recover() }()
	ran = true
	if _, err := j.attempt(ctx, false, 0); errors.Is(err, ErrBusy) { // others are logged
		ran = false
		j.logger.InfoContext(ctx, "cleanup left to another instance")
	}
	return ran
}

// Run sweeps the expired sessions and cleans the directory. A dry run changes
// nothing, sweeps no sessions and counts none, and its report says what would
// go. There is one run at a time: a second caller waits until the first is
// done, or until its ctx ends. Where there is a Locker, a run that is not dry
// also waits for those of other instances, and returns ErrBusy when that takes
// longer than 15 seconds.
//
// The report is of what was done, also where there is an error. Files and
// directories that cannot be handled are in the report and are no error. The
// error says that ctx ended, that the store failed, or that the directory cannot
// be cleaned: it wraps ErrOtherStore where it is not this store's to clean, and
// ErrDirectory where it is gone, was replaced or must not be cleaned.
func (j *Job) Run(ctx context.Context, dryRun bool) (Report, error) {
	return j.attempt(ctx, dryRun, busyTimeout)
}

// attempt is Run, with how long to wait for other instances.
func (j *Job) attempt(ctx context.Context, dryRun bool, wait time.Duration) (Report, error) {
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return Report{}, fmt.Errorf("waiting for another run of the cleanup: %w", ctx.Err())
	}
	unlock, err := func() {}, error(nil)
	if !dryRun {
		unlock, err = j.lock(ctx, wait)
	}
	if errors.Is(err, ErrBusy) {
		return Report{}, err
	}
	started := j.now()
	rec := newRecorder(j.logger, Report{
		StartedAt: schema.Now(started), DryRun: dryRun, Directory: escape(j.dir),
	})
	if err == nil {
		defer unlock()
		err = j.run(ctx, rec)
	} else {
		rec.failed(ctx, failure{doing: "taking turns with other instances", err: err, store: true})
	}
	report := rec.finish(ctx, j.now().Sub(started), err)
	if !dryRun {
		j.keep(report)
	}
	return report, err
}

// run is one run, with panics turned into errors.
func (j *Job) run(ctx context.Context, rec *recorder) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the cleanup panicked: %v", v)
			rec.failed(ctx, failure{doing: "cleaning", err: err, store: true})
			j.logger.ErrorContext(ctx, "cleanup panicked", slog.String("stack", string(debug.Stack())))
		}
	}()
	swept := j.sweep(ctx, rec)
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(swept, j.clean(ctx, rec))
}

// sweep frees the expired sessions.
func (j *Job) sweep(ctx context.Context, rec *recorder) error {
	if rec.report.DryRun {
		return nil
	}
	n, err := j.sweeper.Sweep(ctx, j.now())
	rec.report.SessionsExpired = n
	if err == nil {
		return nil
	}
	err = fmt.Errorf("sweeping expired sessions: %w", err)
	if ctx.Err() == nil {
		rec.failed(ctx, failure{doing: "sweeping expired sessions", err: err, store: true})
	}
	return err
}

// clean cleans the directory.
func (j *Job) clean(ctx context.Context, rec *recorder) error {
	opened, err := j.openClaimed(ctx)
	switch {
	case ctx.Err() != nil && err != nil:
		return err
	case errors.Is(err, ErrOtherStore), errors.Is(err, ErrDirectory):
		rec.failed(ctx, failure{doing: "opening the directory", err: err})
		return err
	case err != nil:
		rec.failed(ctx, failure{doing: "opening the directory", err: err, store: true})
		return err
	}
	defer shut(opened.dir)

	p := &pass{job: j, rec: rec, bases: j.bases(), own: ownFilesOf(j.own)}
	if err := p.load(ctx); err != nil {
		return err
	}
	p.started, p.held = j.look(ctx, rec)
	_, err = (&level{pass: p, dir: opened.dir, info: opened.info, covered: p.refs.has(".")}).clean(ctx)
	if errors.Is(err, errReplaced) {
		rec.failed(ctx, failure{doing: "checking the directory", err: err})
		return fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	return err
}

// look returns the time that ages are measured from, and whether that is not to
// be trusted.
func (j *Job) look(ctx context.Context, rec *recorder) (now time.Time, held bool) {
	now, jump, hold := j.clock.look()
	if jump > 0 {
		j.logger.WarnContext(ctx, "the clock was put forward, or the machine was suspended: no file counts as old for now",
			slog.Duration("jump", jump), slog.Duration("hold", hold))
	}
	if hold > 0 {
		rec.note(slog.Duration("held", hold))
	}
	return now, hold > 0
}

// Last returns the report of the last run that was not dry, and false before
// there was one. The report's entries are not to be changed.
func (j *Job) Last() (Report, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.last == nil {
		return Report{}, false
	}
	return *j.last, true
}

// Totals returns the sums over all runs that were not dry.
func (j *Job) Totals() Totals {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.totals
}

func (j *Job) keep(report Report) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = &report
	j.totals.Runs++
	j.totals.Scanned += int64(report.Scanned)
	j.totals.Deleted += int64(report.Deleted)
	j.totals.BytesFreed += report.BytesFreed
	j.totals.Errors += int64(report.Errors)
}
