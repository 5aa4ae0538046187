package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"session-api/internal/cleanup"
	"session-api/internal/store"
	"session-api/internal/store/bolt"
)

const cleanupUsage = `Usage: session-api cleanup adopt [DIR]

adopt makes DIR, or ANALYSIS_TMP_DIR, a directory that the service cleans: from
then on every file in it that no session refers to is deleted once it is older
than FILE_GRACE_MS, whoever put it there. It needs to be said

  - of a directory that is not empty when the service comes to it first, and
  - after the service was given another store: the sessions of which store refer
    to the files stands in DIR/.session-api-cleanup.

The store is that of the environment, by the same variables as the service's. A
service that runs notices with its next run.

Exit status: 0 all well, 1 the directory must not be cleaned, or failed, 2 wrong
usage.
`

// imageDir is the directory of analysis files in the container image.
const imageDir = "/var/lib/session-api/analysis"

// dirIsOurs reports whether the directory is the service's by its name.
func (c *config) dirIsOurs() bool { return c.dirIsDefault || c.AnalysisDir == imageDir }

// adoptDirectory is the command cleanup.
func adoptDirectory(ctx context.Context, args []string, environ map[string]string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cleanup", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(stdout, cleanupUsage)
	case err != nil:
		return usageError("cleanup: " + err.Error())
	case flags.Arg(0) != "adopt":
		return usageError(fmt.Sprintf("cleanup: %q is not adopt", flags.Arg(0)))
	case flags.NArg() > 2:
		return usageError(fmt.Sprintf("cleanup adopt: unknown argument %q", flags.Arg(2)))
	}
	c, err := load(environ)
	if found, ok := errors.AsType[problems](err); ok {
		err = found.ofStore()
	}
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	dir, err := filepath.Abs(cmp.Or(flags.Arg(1), c.AnalysisDir))
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	id, err := identityOf(ctx, &c, stderr)
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	if err := cleanup.Adopt(dir, c.Store, id, c.ownFiles()); err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	return write(stdout, fmt.Sprintf("%s is cleaned from now on: files that no session of the store (%s) refers to go when they are older than %v.\n",
		dir, c.Store, c.FileGrace))
}

// identityOf returns the identity of the store that the settings name, which a
// service may be using.
func identityOf(ctx context.Context, c *config, stderr io.Writer) (string, error) {
	switch {
	case c.onBolt():
		if err := bolt.MakeDirectory(c.DataDir); err != nil {
			return "", fmt.Errorf("SESSION_DATA_DIR: %w", err)
		}
		return bolt.Identity(c.DataDir)
	case !c.onRedis():
		return "", nil
	}
	kept, err := openStore(ctx, c, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return "", err
	}
	id := ""
	if identified, ok := kept.(store.Identified); ok {
		id, err = identified.Identity(ctx)
	}
	return id, errors.Join(err, kept.Close())
}

// claimTimeout is how long the store may take to say, at the start, whose files
// it is about.
const claimTimeout = 10 * time.Second

// cleanLoop is the job's loop. Before it, the log says if there will be nothing
// to clean.
func cleanLoop(job *cleanup.Job) func(context.Context) {
	return func(ctx context.Context) {
		limited, cancel := context.WithTimeout(ctx, claimTimeout)
		_ = job.Claim(limited) // it is logged, and tried again by each run
		cancel()
		job.Loop(ctx)
	}
}

// ownFiles are the files and directories that settings name: all but the
// directory that is cleaned.
func (c *config) ownFiles() []cleanup.OwnFile {
	var own []cleanup.OwnFile
	v := reflect.ValueOf(c).Elem()
	for _, s := range ownSettings() {
		if path := v.FieldByName(s.field).String(); path != "" {
			own = append(own, cleanup.OwnFile{Name: s.name, Path: path})
		}
	}
	return own
}

// ownSettings are the settings that name a file or directory which the service
// needs.
func ownSettings() []setting {
	var found []setting
	for _, s := range settings() {
		if s.values == "path" && s.name != "ANALYSIS_TMP_DIR" {
			found = append(found, s)
		}
	}
	return found
}

// ownFileChecks are the rules that keep what the service needs out of the
// directory that it cleans. That of the data directory is among its own.
func ownFileChecks() []rule {
	var rules []rule
	for _, s := range ownSettings() {
		if s.name == "SESSION_DATA_DIR" {
			continue
		}
		rules = append(rules, rule{s.name, []string{"ANALYSIS_TMP_DIR"}, func(c *config) string {
			path := reflect.ValueOf(c).Elem().FieldByName(s.field).String()
			if !cleanup.Holds(c.AnalysisDir, path) {
				return ""
			}
			return insideAnalysisDir(path)
		}})
	}
	return rules
}

// insideAnalysisDir says that a file is where files are deleted.
func insideAnalysisDir(path string) string {
	return quoted(path) + " is within ANALYSIS_TMP_DIR, where files are deleted: keep it elsewhere, or clean another directory"
}

// logFiles are the files that the standard streams go to.
func logFiles() []cleanup.OwnFile {
	var own []cleanup.OwnFile
	for name, f := range map[string]*os.File{"the standard output": os.Stdout, "the standard error": os.Stderr} {
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err == nil && filepath.IsAbs(path) {
			own = append(own, cleanup.OwnFile{Name: name, Path: path})
		}
	}
	return own
}
