package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"time"

	"session-api/internal/store/bolt"
)

const checkUsage = `Usage: session-api check [-move-aside] [DIR]

check reads the whole data file in DIR, or in SESSION_DATA_DIR: every page and
every session. It reports how many sessions are live and what compact would
free. It writes nothing, and can read read-only volumes. No service may be using
the file.

  -move-aside      rename a damaged file, so that the service starts without the
                   sessions in it; leave any other as it is

Exit status: 0 the file is intact, or was moved aside; 1 it is damaged, or could
not be read; 2 wrong usage.
`

// checkData is the command check.
func checkData(args []string, environ map[string]string, stdout io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	moveAside := flags.Bool("move-aside", false, "")
	dir, err := directoryOf(flags, checkUsage, args, environ, stdout)
	if err != nil {
		return err
	}
	now := time.Now()
	report, err := bolt.Check(now, dir)
	if *moveAside && errors.Is(err, bolt.ErrDamaged) {
		to, moved := bolt.MoveAside(now, dir)
		if moved != nil {
			return fmt.Errorf("check: %w; it could not be moved: %w", err, moved)
		}
		return write(stdout, fmt.Sprintf("%v\nIt is %s now.\n", err, to))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("check: there is no data file: %w", err)
	case err != nil:
		return fmt.Errorf("check: %w", err)
	}
	return write(stdout, fmt.Sprintf("%s is in order: %d bytes, %d of them free, format %d\n"+
		"%s, %d more expired; %s in a grace period; %s as tombstones; %s with an Idempotency-Key; %s in its log\n"+
		"the live sessions take %d bytes, the largest of them %d; compact would leave about %d, and free %d\n",
		report.Path, report.Bytes, report.Free, report.Version,
		counted(int64(report.Sessions), "session"), report.Expired, counted(int64(report.Graces), "id"),
		counted(int64(report.Tombstones), "id"), counted(int64(report.Requests), "request"), counted(report.Entries, "record"),
		report.Live, report.Largest, report.Compacted, report.Bytes-report.Compacted))
}
