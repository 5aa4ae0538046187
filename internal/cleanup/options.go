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

// Options are a job's settings and the store that it asks. All of them are
// needed, but Interval and Grace may be 0, and Own, Identity, Locker, Logger and
// Elapsed may be nil.
type Options struct {
	// Dir is the directory to clean: an absolute path, and no symbolic link.
	// Validate says which directories are refused.
	Dir string
	// Known: the directory is this service's by its name, so that it may hold
	// files before it was ever cleaned. Any other must be empty the first time,
	// or be adopted.
	Known bool
	// Own is what the service itself needs. Nothing of it may lie in Dir.
	Own []OwnFile
	// StoreKind is the kind of the store that References are of, and Identity
	// names its sessions: the same for all that share them and over restarts,
	// empty where they end with the process. nil is as if it was always empty.
	StoreKind string
	Identity  func(ctx context.Context) (string, error)
	// Interval is how often Loop runs; 0 for never, the job then runs only on
	// request.
	Interval time.Duration
	// Grace is the age up to which a file stays although no session refers to
	// it: a worker writes the file first and the reference after. Empty
	// directories stay as long.
	Grace time.Duration
	// TTL is the age up to which a file stays because a session refers to it.
	// It is not shorter than Grace.
	TTL time.Duration

	Sweeper    Sweeper
	References References
	// Locker keeps the jobs of several instances from cleaning at once; nil
	// where there is one instance.
	Locker Locker
	// Logger gets a line for each run and for the first failures of a run; nil
	// for no log.
	Logger *slog.Logger
	Now    func() time.Time
	// Elapsed is the time since any moment, by a clock that nobody sets. Where
	// Now goes ahead of it, Now was set, and nothing is deleted until both have
	// agreed for the grace, or for a minute where that is longer. nil where Now
	// is to be believed.
	Elapsed func() time.Duration

	// changed is when a file last changed; nil for lastChange, and birthTime where
	// that leaves it old.
	changed func(fs.FileInfo) time.Time
}

// OptionError is one setting that a job cannot have.
type OptionError struct {
	// Option is the field of Options.
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// Validate reports everything that is wrong with the settings at once: the
// error joins one *OptionError for each problem. It looks at the file system
// and changes nothing there.
//
// Refused as Dir is one that may hold what is not ours: it is not empty, not
// Known, and no job has cleaned it before; what Adopt is for. Refused are
// further the file system's root, home directories and what holds
// one, system directories, the place of the running program, and a directory
// with a .git or go.mod in it; by name, or because that is where the path
// leads. A directory that does not exist yet is accepted where its parent
// exists. Refused is also one that holds any of Own.
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
	if err := checkPlace(dir); err != nil {
		return err
	}
	if err := checkOwn(dir, o.Own); err != nil {
		return err
	}
	return o.checkUse(dir)
}

// checkUse refuses a directory that may hold what is not ours. One that cannot
// be looked at is left to the runs, which report it.
func (o *Options) checkUse(dir string) error {
	if o.Known {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, markerName)); err == nil {
		return nil
	}
	f, err := os.Open(dir) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil // it is missing, or cannot be read
	}
	defer shut(f)
	if empty, err := vacant(f); err != nil || empty {
		return nil // it is empty, or cannot be read
	}
	if err := checkMarkers(dir, projectMarkers, func(name string) error {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err
	}); err != nil {
		return err
	}
	return unmarkedError{dir}
}
