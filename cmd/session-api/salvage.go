package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/bolt"
)

const salvageUsage = `Usage: session-api salvage [-to NEWDIR] [DIR]

salvage reads the intact parts of the damaged data file of DIR, or of
SESSION_DATA_DIR, and writes nothing there. It writes the live sessions to
standard output, in the format of export, or creates the data file of another
directory, with the requests that had an Idempotency-Key as well.

  -to NEWDIR  create a data file there; the directory must not have one yet

If the last record of a session is lost, an earlier one may come back: an older
state of it, or a session that was ended. Import such sessions only if that is
acceptable.

Exit status: 0 everything readable was read, 1 failure, 2 wrong usage.
`

// salvage is the command salvage.
func salvage(args []string, environ map[string]string, std streams) error {
	var to string
	flags := flag.NewFlagSet("salvage", flag.ContinueOnError)
	flags.StringVar(&to, "to", "", "")
	dir, err := directoryOf(flags, salvageUsage, args, environ, std.out)
	if err != nil {
		return err
	}
	now := time.Now()
	var found bolt.Salvaged
	if to != "" {
		err = bolt.Build(now, to, func(into bolt.Sink) (err error) {
			found, err = bolt.Salvage(now, dir, into)
			return err
		})
	} else {
		out := bufio.NewWriterSize(std.out, 1<<20)
		var line []byte
		found, err = bolt.Salvage(now, dir, bolt.Sink{Session: func(sess schema.Session) error {
			line = append(sess.AppendRecord(line[:0]), '\n')
			_, err := out.Write(line)
			return err
		}})
		err = errors.Join(err, out.Flush())
	}
	if err != nil {
		return fmt.Errorf("salvage: %w", err)
	}
	text := fmt.Sprintf("session-api: saved %s from %s; left out: %d expired, %s of the log lost",
		counted(int64(found.Sessions), "session"), found.Path, found.Expired, counted(found.Lost, "record"))
	if found.Heads {
		text += "; neither head of the file is whole, so some that were ended may be among them"
	}
	return write(std.errOut, text+"\n")
}
