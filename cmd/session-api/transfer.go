package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"session-api/internal/config"
	"session-api/internal/store/backend"
)

const transferUsage = `Usage: session-api export [-namespace NAME] [-after PLACE] > FILE
       session-api import [-dry-run] [-skip N] < FILE

export writes the sessions of a store to standard output, import reads them into
another: namespaces, ids, revisions, times, deadlines and idle timeouts are
preserved, so tokens and ETags stay valid. The store is selected by the
environment, with the same variables as for the service. With Redis, both may run
while services use the store; a data directory belongs to one process at a time.
An export writes nothing to it, can read a read-only volume, and ignores limits.

export
  -namespace NAME  only this namespace
  -after PLACE     resume an interrupted export, which prints this place

import
  -dry-run         change nothing; report what would be done
  -skip N          skip the first N lines, which have been imported

A session that the store already holds is left as it is; one that was recently
ended there, or has expired, is skipped. All are counted, so an import may be
repeated. It stops at the first invalid line, and prints its number and how to
resume. An import evicts no session: a file that does not fit is refused before
any of it is stored, and input from a pipe stops when the store is full. The last
line reports how many of its sessions are present at the end; if any is missing,
the exit status is 1.

The output is UTF-8, one JSON object per line, in no particular order:

  {"namespace":"default","idleMs":86400000,"ownMs":3600000,"session":{...}}

  namespace  the namespace of the session
  idleMs     its idle timeout: a use extends the session to that long from then
  ownMs      the idle timeout that a request asked for with ttlMs; optional
  session    the whole document as returned by GET /api/session

Exit status: 0 success, 1 failed or interrupted, 2 wrong usage.
`

// streams are where a command reads and writes.
type streams struct {
	in          io.Reader
	out, errOut io.Writer
}

// runTransfer runs the command export or import.
func runTransfer(ctx context.Context, command string, args []string, environ map[string]string, std streams) error {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	prepare := exporting
	if command == "import" {
		prepare = importing
	}
	job := prepare(flags, std)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(std.out, transferUsage)
	case err != nil:
		return usageError(command + ": " + err.Error())
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("%s: unknown argument %q", command, flags.Arg(0)))
	}
	if err := job.check(); err != nil {
		return err
	}
	c, err := loadForTransfer(environ)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	logger := slog.New(slog.NewTextHandler(std.errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	open := openStore
	if command == "export" && c.OnBolt() {
		open = openToRead
	}
	kept, err := open(ctx, &c, logger)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if err = kept.Ping(ctx); err == nil {
		hide := showProgress(std.errOut, job)
		began := time.Now()
		err = job.run(ctx, kept, &c)
		hide()
		if _, wrongUsage := errors.AsType[usageError](err); !wrongUsage {
			err = errors.Join(err, write(std.errOut, "session-api: "+job.summary(time.Since(began), err)+"\n"))
		}
	}
	if closeErr := kept.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("closing the store: %w", closeErr))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// transferJob is one run of export or import.
type transferJob interface {
	// check returns what is wrong with the arguments.
	check() error
	// run does the work. It returns transfer.ErrInterrupted if ctx ended it.
	run(ctx context.Context, kept backend.Store, c *config.Config) error
	progressing
	// summary says in one line what was done in that time and, where err says
	// that it is not all, how to go on.
	summary(took time.Duration, err error) string
}

// loadForTransfer reads the settings of the store. What is wrong with others
// does not matter: this is not the service.
func loadForTransfer(environ map[string]string) (config.Config, error) {
	c, err := config.LoadStore(environ)
	if err != nil || c.OnRedis() || c.OnBolt() {
		return c, err
	}
	var hints strings.Builder
	for _, t := range config.Typos(environ) {
		hints.WriteString("; " + t.Name + " is not a setting, did you mean " + t.Meant + "?")
	}
	return c, errors.New("SESSION_STORE is memory, and the sessions of that store exist only in the process of a service, " +
		"where no other process can read them. Set REDIS_URL, or the other settings of the service's Redis, or SESSION_DATA_DIR" + hints.String())
}

// progressInterval is how often a person is told how far it is.
const progressInterval = 250 * time.Millisecond

// progressing is work that takes a while.
type progressing interface {
	// progress is how much is done, and in a few words what.
	progress() (count int64, what string)
}

// showProgress shows on a terminal how far a job is, until it is hidden.
func showProgress(w io.Writer, job progressing) (hide func()) {
	if !onTerminal(w) {
		return func() {}
	}
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		const clearLine = "\r\x1b[K"
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for began := time.Now(); ; {
			select {
			case <-done:
				_ = write(w, clearLine) // there is nobody to tell
				return
			case now := <-tick.C:
				count, what := job.progress()
				_ = write(w, fmt.Sprintf("%s%d %s, %s", clearLine, count, what, rate(count, now.Sub(began))))
			}
		}
	})
	return func() { close(done); shown.Wait() }
}

// rate is how many of something there are in a second.
func rate(count int64, took time.Duration) string {
	return fmt.Sprintf("%.0f a second", float64(count)/max(took.Seconds(), 0.001))
}

// counted writes "1 session" and "2 sessions".
func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// inAll writes a time as a person reads it.
func inAll(took time.Duration) string { return took.Round(10 * time.Millisecond).String() }
