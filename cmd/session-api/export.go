package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/transfer"
)

// exportJob writes the records of sessions.
type exportJob struct {
	out io.Writer
	// afterText is -after as it was given.
	afterText string

	work transfer.Export
}

// exporting returns the job that the flags will describe.
func exporting(flags *flag.FlagSet, std streams) transferJob {
	e := &exportJob{out: std.out}
	flags.StringVar(&e.work.Namespace, "namespace", "", "")
	flags.StringVar(&e.afterText, "after", "", "")
	return e
}

func (e *exportJob) check() error {
	only := e.work.Namespace
	if only != "" && !schema.ValidNamespace(only) {
		return usageError(fmt.Sprintf("export: %q is no namespace", only))
	}
	if e.afterText == "" {
		return nil
	}
	var ok bool
	if e.work.Position, ok = transfer.ParsePosition(e.afterText); !ok {
		return usageError("export: -after is not a place that an export named")
	}
	if only != "" && only != e.work.Position.Namespace {
		return usageError("export: -after is a place in another namespace")
	}
	return nil
}

func (e *exportJob) run(ctx context.Context, kept backend.Store, _ *config.Config) error {
	e.work.From, e.work.Now = storedSessions(kept), time.Now
	err := e.work.Run(ctx, e.out)
	if errors.Is(err, backend.ErrBadCursor) {
		return usageError("-after is not a place that an export named")
	}
	return err
}

func (e *exportJob) progress() (count int64, what string) {
	return e.work.Sessions(), "sessions exported"
}

func (e *exportJob) summary(took time.Duration, err error) string {
	n := e.work.Sessions()
	text := fmt.Sprintf("exported %s of %s in %s (%s)",
		counted(n, "session"), counted(e.work.Namespaces(), "namespace"), inAll(took), rate(n, took))
	if err == nil {
		return text
	}
	text += ", not all"
	if e.work.Truncated {
		text += "; the file may end within a line"
	}
	again := "; to go on: session-api export"
	if e.work.Namespace != "" {
		again += " -namespace " + e.work.Namespace
	}
	if e.work.Position != (transfer.Position{}) {
		again += " -after " + e.work.Position.String()
	}
	return text + again
}
