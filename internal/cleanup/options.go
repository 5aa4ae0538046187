package cleanup

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

// Options are the settings of a job and the store that it uses. All are required except
// Interval, Grace, OwnFiles, Identity, Locker, Logger, Elapsed and AfterRun.
type Options struct {
	// Dir is the directory to clean: an absolute path that is not a symbolic link.
	// Validate says which directories are refused.
	Dir string
	// AllowNonEmpty accepts a directory that holds files before it was ever cleaned,
	// because its name shows that it is the service's. Any other directory must be
	// empty the first time, or be adopted.
	AllowNonEmpty bool
	// OwnFiles are what the service itself needs. None of them may lie in Dir.
	OwnFiles []OwnFile
	// StoreKind is the kind of the store that References belongs to. Identity returns
	// the identity of its sessions: the same for all instances that share them and
	// across restarts; empty, as for a nil Identity, if they end with the process.
	StoreKind string
	Identity  func(ctx context.Context) (string, error)
	// Interval is the time between two runs of Loop; 0 if the job runs on request only.
	Interval time.Duration
	// Grace is the grace period of new files: the age up to which a file is kept without
	// a reference, because a worker writes the file first and the reference after.
	// Empty directories are kept as long.
	Grace time.Duration
	// TTL is the age up to which a file is kept because of a reference. It must not be
	// shorter than Grace.
	TTL time.Duration

	Sweeper    Sweeper
	References References
	// Locker keeps the jobs of several instances from cleaning at once; nil for a single
	// instance.
	Locker Locker
	// Logger logs each run and the first failures of a run; nil for no log.
	Logger *slog.Logger
	Now    func() time.Time
	// Elapsed is a monotonic clock: the time since any moment. If Now runs ahead of it,
	// Now was set, and nothing is deleted until both have agreed for the grace period,
	// or for a minute if that is longer. nil if Now is to be trusted.
	Elapsed func() time.Duration

	// AfterRun, if set, is called after each run of Loop, with what Run would return.
	AfterRun func(Report, error)

	// changed returns when a file last changed; nil for lastChange and birthTime.
	changed func(fs.FileInfo) time.Time
}

// OptionError describes an invalid setting.
type OptionError struct {
	// Option is the field of Options.
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// Validate reports all invalid settings at once: the error joins one *OptionError for
// each. It reads the file system and changes nothing there.
//
// It refuses a Dir that may hold files of others: one that is not empty, without
// AllowNonEmpty, and that no job has cleaned before; Adopt is for those. It further
// refuses the file system's root, home directories and their parents, system
// directories, the directory of the running program, and a directory with a .git or
// go.mod in it; by name, or because the path leads there. A directory that does not
// exist yet is accepted if its parent exists. A directory that holds any of OwnFiles is
// refused as well.
func (o *Options) Validate() error {
	var problems []error
	wrong := func(option string, err error) {
		problems = append(problems, &OptionError{Option: option, Err: err})
	}
	if err := o.checkDir(); err != nil {
		wrong("Dir", err)
	}
	if o.Interval < 0 {
		wrong("Interval", fmt.Errorf("%v is negative", o.Interval))
	}
	if o.Grace < 0 {
		wrong("Grace", fmt.Errorf("%v is negative", o.Grace))
	}
	switch {
	case o.TTL <= 0:
		wrong("TTL", fmt.Errorf("%v is not positive", o.TTL))
	case o.TTL < o.Grace:
		wrong("TTL", fmt.Errorf("%v is shorter than the grace of %v: files would go before a reference to them is written", o.TTL, o.Grace))
	}
	if o.Sweeper == nil {
		wrong("Sweeper", errMissing)
	}
	if o.References == nil {
		wrong("References", errMissing)
	}
	if o.Now == nil {
		wrong("Now", errMissing)
	}
	return errors.Join(problems...)
}

var errMissing = errors.New("missing")

func (o *Options) checkDir() error {
	switch {
	case o.Dir == "":
		return errMissing
	case !filepath.IsAbs(o.Dir):
		return fmt.Errorf("%q is not an absolute path", o.Dir)
	}
	dir := filepath.Clean(o.Dir)
	if err := checkDirectory(dir); err != nil {
		return err
	}
	if err := checkOwn(dir, o.OwnFiles); err != nil {
		return err
	}
	return o.checkUnclaimed(dir)
}

// checkUnclaimed refuses an unmarked directory that may hold files of others. One that
// cannot be read is left to the runs, which report it.
func (o *Options) checkUnclaimed(dir string) error {
	if o.AllowNonEmpty {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, markerName)); err == nil {
		return nil
	}
	f, err := os.Open(dir) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil // it is missing, or cannot be read
	}
	defer closeReader(f)
	if empty, err := isEmptyDir(f); err != nil || empty {
		return nil // it is empty, or cannot be read
	}
	if err := checkNotProject(dir, projectMarkers, func(name string) error {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err
	}); err != nil {
		return err
	}
	return unmarkedError{dir}
}
