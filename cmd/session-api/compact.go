package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"session-api/internal/store/bolt"
)

const compactUsage = `Usage: session-api compact [DIR]

compact writes the data file in DIR, or in SESSION_DATA_DIR, anew without what no
longer counts: free pages, what was replaced, and the documents of sessions that
were ended. No service may be using it; a service that runs does so by itself when
half of the file is free. The file keeps its owner and mode, and is replaced once
the new one is on the disk, which has to have room for both.

Exit status: 0 all well, 1 failed, 2 wrong usage.
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
