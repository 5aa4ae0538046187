package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"session-api/internal/store/bolt"
)

const compactUsage = `Usage: session-api compact [DIR]

compact rewrites the data file in DIR, or in SESSION_DATA_DIR, without obsolete
data: free pages, replaced values, and the documents of ended sessions. No service
may be using it; a running service compacts the file by itself when half of it is
free. The file keeps its owner and mode, and is replaced once the new one is on the
disk, which must have room for both.

Exit status: 0 success, 1 failure, 2 wrong usage.
`

// compact is the command compact.
func compact(args []string, environ map[string]string, stdout io.Writer) error {
	flags := flag.NewFlagSet("compact", flag.ContinueOnError)
	dir, err := directoryOf(flags, compactUsage, args, environ, stdout)
	if err != nil {
		return err
	}
	done, err := bolt.Compact(time.Now(), dir)
	if err != nil {
		return fmt.Errorf("compact: %w%s", err, boltAdvice(err))
	}
	return write(stdout, fmt.Sprintf("%s: %d bytes, %d before; %s kept, %d left out\n",
		done.Path, done.After, done.Before, counted(done.Entries, "record"), done.Freed))
}
