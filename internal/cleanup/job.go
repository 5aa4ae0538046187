// Package cleanup removes what sessions leave behind: expired sessions, and files in
// one directory that no live session refers to.
//
// A marker in the directory names the store whose sessions refer to its files. The job
// of another store leaves the directory alone: see Claim.
//
// The job deletes regular files and empty directories beneath the directory, and nothing
// else. It does not enter subdirectories that look like a project, never follows a
// symbolic link, opens no file, and checks each file again just before it deletes it.
// Any number of jobs, in any number of processes, may clean one directory.
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

// Sweeper deletes expired sessions.
type Sweeper interface {
	// Sweep deletes the sessions that have expired at now and returns their number.
	Sweep(ctx context.Context, now time.Time) (int, error)
}

// References looks up the files that live sessions refer to, spelt as clients wrote
// them: relative to the directory, or absolute inside it. A reference to a directory is
// one to all beneath it.
type References interface {
	// Files calls yield with each reference, in no order, possibly more than once. It
	// returns yield's error unchanged, and an error of its own if it could not list
	// all references.
	Files(ctx context.Context, now time.Time, yield func(path string) error) error
	// HasFile reports whether any of the paths is among them.
	HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error)
}

// Job cleans one directory. Its methods are safe for concurrent use.
type Job struct {
	dir                  string
	interval, grace, ttl time.Duration
	sweeper              Sweeper
	references           References
	locker               Locker // may be nil
	logger               *slog.Logger
	now                  func() time.Time
	clock                *clockMonitor

	// running is a semaphore: it allows one run at a time.
	running chan struct{}

	allowNonEmpty bool
	ownFiles      []OwnFile
	storeKind     string
	identity      func(ctx context.Context) (string, error)
	afterRun      func(Report, error)
	changed       func(fs.FileInfo) time.Time
	birthTime     func(dir *os.File, name string) (time.Time, bool)

	claimMu sync.Mutex
	claims  claims

	mu     sync.Mutex
	last   *Report
	totals Totals
	status Status
}

// dirMode is the mode of a directory that a job creates. Workers that run as another
// user need a directory that was created for both.
const dirMode = 0o700

// New creates a job, and its directory if that is missing. It returns the error of
// Options.Validate. If the directory cannot be created, New logs that; each run reports
// it until the directory exists.
func New(o Options) (*Job, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	j := &Job{
		dir:      filepath.Clean(o.Dir),
		interval: o.Interval, grace: o.Grace, ttl: o.TTL,
		sweeper: o.Sweeper, references: o.References, locker: o.Locker,
		logger: o.Logger, now: o.Now, clock: newClockMonitor(&o),
		running:       make(chan struct{}, 1),
		allowNonEmpty: o.AllowNonEmpty, ownFiles: o.OwnFiles, storeKind: o.StoreKind, identity: o.Identity, changed: o.changed, afterRun: o.AfterRun,
		birthTime: func(*os.File, string) (born time.Time, ok bool) { return born, false },
		status:    Unavailable,
	}
	if j.changed == nil {
		j.changed, j.birthTime = lastChange, birthTime
	}
	if j.logger == nil {
		j.logger = slog.New(slog.DiscardHandler)
	}
	if err := os.Mkdir(j.dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		j.logger.Warn("the cleanup's directory cannot be made",
			slog.String("directory", escapeName(j.dir)), slog.String("error", withoutPath(err).Error()))
	}
	j.identifyDir()
	return j, nil
}

// identifyDir records the identity of the directory, and creates its marker if there is
// none, for whichever store claims it first: from now on workers may write there.
// Problems are left to the runs, which report them.
func (j *Job) identifyDir() {
	root, info, err := openDir(j.dir)
	if err != nil {
		return
	}
	defer closeReader(root)
	j.claimMu.Lock()
	defer j.claimMu.Unlock()
	if at, err := identityOf(root, info); err == nil {
		j.claims.dir = &at
	}
	if f, _, err := openMarker(root); err == nil {
		closeReader(f)
	} else if errors.Is(err, fs.ErrNotExist) {
		_ = j.createMarker(root)
	}
}

// claimTimeout is how long the store may take to say, when Loop begins, whose files
// it is about.
const claimTimeout = 10 * time.Second

// Loop claims the directory, so that the log says if there will be nothing to clean,
// and runs the job each interval until ctx ends. A failed run does not end it. A run
// that would have to wait for another instance is skipped, and tried again after a
// tenth of the interval: instances may have directories of their own, which would never
// be cleaned otherwise.
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

// tick is one iteration of Loop. It reports whether a run took place. Run returns
// panics of the store as errors; a panic that arrives here is the logger's and cannot
// be logged.
func (j *Job) tick(ctx context.Context) (ran bool) {
	defer func() { _ = recover() }()
	ran = true
	report, err := j.runOnce(ctx, false, 0)
	if errors.Is(err, ErrBusy) { // others are logged
		ran = false
		j.logger.InfoContext(ctx, "cleanup left to another instance")
	} else if j.afterRun != nil {
		j.afterRun(report, err)
	}
	return ran
}

// Run sweeps the expired sessions and cleans the directory. A dry run changes nothing,
// sweeps no sessions, and its report says what would be deleted. There is one run at a
// time: a second caller waits until the first is done, or until its ctx ends. With a
// Locker, a run that is not dry also waits for the runs of other instances, and returns
// ErrBusy after 15 seconds.
//
// The report describes what was done, even if there is an error. Files and directories
// that could not be handled are in the report and are not an error. The error says that
// ctx ended, that the store failed, or that the directory cannot be cleaned: it wraps
// ErrOtherStore if the directory belongs to another store, and ErrDirectory if it is
// gone, was replaced or must not be cleaned.
func (j *Job) Run(ctx context.Context, dryRun bool) (Report, error) {
	return j.runOnce(ctx, dryRun, busyTimeout)
}

// runOnce is Run, with the time to wait for other instances.
func (j *Job) runOnce(ctx context.Context, dryRun bool, wait time.Duration) (Report, error) {
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	select {
	case j.running <- struct{}{}:
		defer func() { <-j.running }()
	case <-ctx.Done():
		return Report{}, fmt.Errorf("waiting for another run of the cleanup: %w", ctx.Err())
	}
	unlock, err := func() {}, error(nil)
	if !dryRun {
		unlock, err = j.acquireLease(ctx, wait)
	}
	if errors.Is(err, ErrBusy) {
		return Report{}, err
	}
	started := j.now()
	rec := newRecorder(j.logger, Report{
		StartedAt: schema.Now(started), DryRun: dryRun, Directory: escapeName(j.dir),
	})
	if err == nil {
		defer unlock()
		err = j.run(ctx, rec)
	} else {
		rec.failed(ctx, failure{op: "taking turns with other instances", err: err, fromStore: true})
	}
	report := rec.finish(ctx, j.now().Sub(started), err)
	if !dryRun {
		j.recordReport(report)
	}
	return report, err
}

// run performs one run, and turns panics into errors.
func (j *Job) run(ctx context.Context, rec *recorder) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the cleanup panicked: %v", v)
			rec.failed(ctx, failure{op: "cleaning", err: err, fromStore: true})
			j.logger.ErrorContext(ctx, "cleanup panicked", slog.String("stack", string(debug.Stack())))
		}
	}()
	swept := j.sweep(ctx, rec)
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(swept, j.clean(ctx, rec))
}

// sweep deletes the expired sessions.
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
		rec.failed(ctx, failure{op: "sweeping expired sessions", err: err, fromStore: true})
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
		rec.failed(ctx, failure{op: "opening the directory", err: err})
		return err
	case err != nil:
		rec.failed(ctx, failure{op: "opening the directory", err: err, fromStore: true})
		return err
	}
	defer closeReader(opened.dir)

	p := &pass{job: j, rec: rec, rootPaths: j.rootPaths(), own: ownFilesOf(j.ownFiles)}
	if err := p.loadReferences(ctx); err != nil {
		return err
	}
	p.started, p.clockHeld = j.checkClock(ctx, rec)
	_, err = (&level{pass: p, dir: opened.dir, info: opened.info, referencedAbove: p.refs.has(".")}).clean(ctx)
	if errors.Is(err, errReplacedDuringRun) {
		rec.failed(ctx, failure{op: "checking the directory", err: err})
		return fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	return err
}

// checkClock returns the time that ages are measured from, and whether deletions are
// held because it is not to be trusted.
func (j *Job) checkClock(ctx context.Context, rec *recorder) (now time.Time, held bool) {
	now, jump, hold := j.clock.check()
	if jump > 0 {
		j.logger.WarnContext(ctx, "the clock was put forward, or the machine was suspended: no file counts as old for now",
			slog.Duration("jump", jump), slog.Duration("hold", hold))
	}
	if hold > 0 {
		rec.addLogAttrs(slog.Duration("held", hold))
	}
	return now, hold > 0
}

// Last returns the report of the last run that was not dry; false if there was none.
// The report's entries must not be modified.
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

func (j *Job) recordReport(report Report) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = &report
	j.totals.Runs++
	j.totals.Scanned += int64(report.Scanned)
	j.totals.Deleted += int64(report.Deleted)
	j.totals.BytesFreed += report.BytesFreed
	j.totals.Errors += int64(report.Errors)
}
