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

	"session-api/internal/cleanup"
	"session-api/internal/config"
	"session-api/internal/store/bolt"
)

const cleanupUsage = `Usage: session-api cleanup adopt [DIR]

adopt makes DIR, or ANALYSIS_TMP_DIR, a directory that the service cleans: from
then on, every file in it that no session refers to is deleted once it is older
than FILE_GRACE_MS, whoever created it. This is required

  - for a directory that is not empty when the service first uses it, and
  - after the service was given another store: DIR/.session-api-cleanup records
    which store's sessions refer to the files.

The store is selected by the environment, with the same variables as for the
service. A running service picks up the change with its next run.

Exit status: 0 success, 1 the directory must not be cleaned, or failure, 2 wrong
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
	return write(stdout, fmt.Sprintf("%s is cleaned from now on: files that no session of the store (%s) refers to are deleted once they are older than %v.\n",
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
	id, err := storedSessions(kept).Identity(ctx)
	return id, errors.Join(err, kept.Close())
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
