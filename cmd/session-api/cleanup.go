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
	"time"

	"session-api/internal/cleanup"
	"session-api/internal/config"
	"session-api/internal/store/backend"
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
	c, err := config.LoadStore(environ)
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	dir, err := filepath.Abs(cmp.Or(flags.Arg(1), c.Files.Dir))
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	id, err := identityOf(ctx, &c, stderr)
	if err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	if err := cleanup.Adopt(dir, c.Store.Kind, id, c.OwnFiles()); err != nil {
		return fmt.Errorf("cleanup adopt: %w", err)
	}
	return write(stdout, fmt.Sprintf("%s is cleaned from now on: files that no session of the store (%s) refers to go when they are older than %v.\n",
		dir, c.Store.Kind, c.Files.Grace))
}

// identityOf returns the identity of the store that the settings name, which a
// service may be using.
func identityOf(ctx context.Context, c *config.Config, stderr io.Writer) (string, error) {
	switch {
	case c.OnBolt():
		if err := bolt.MakeDirectory(c.Store.DataDir); err != nil {
			return "", fmt.Errorf("SESSION_DATA_DIR: %w", err)
		}
		return bolt.Identity(c.Store.DataDir)
	case !c.OnRedis():
		return "", nil
	}
	kept, err := openStore(ctx, c, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return "", err
	}
	id := ""
	if identified, ok := kept.(backend.Identified); ok {
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
