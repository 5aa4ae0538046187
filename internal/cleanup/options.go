package cleanup

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Options are a job's settings and the store that it asks. All of them are
// needed, but Interval and Grace may be 0, and Locker, Logger and Elapsed may be
// nil.
type Options struct {
	// Dir is the directory to clean: an absolute path, and no symbolic link.
	// Validate says which directories are refused.
	Dir string
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
// Refused as Dir are the file system's root, home directories and what holds
// one, system directories, the place of the running program, and a directory
// with a .git or go.mod in it; by name, or because that is where the path
// leads. A directory that does not exist yet is accepted where its parent
// exists.
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
	return checkPlace(filepath.Clean(o.Dir))
}
