package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// exportJob writes the records of sessions.
type exportJob struct {
	out io.Writer
	// only is the one namespace that is exported; empty for all.
	only string
	// afterText is -after as it was given, done the place up to which all is
	// written.
	afterText string
	done      place

	sessions, namespaces atomic.Int64
	// cut: a line may have been written in part.
	cut bool
}

// exporting returns the job that the flags will describe.
func exporting(flags *flag.FlagSet, std streams) transferJob {
	e := &exportJob{out: std.out}
	flags.StringVar(&e.only, "namespace", "", "")
	flags.StringVar(&e.afterText, "after", "", "")
	return e
}

func (e *exportJob) check() error {
	if e.only != "" && !schema.ValidNamespace(e.only) {
		return usageError(fmt.Sprintf("export: %q is no namespace", e.only))
	}
	if e.afterText == "" {
		return nil
	}
	var ok bool
	if e.done, ok = parsePlace(e.afterText); !ok || !schema.ValidNamespace(e.done.namespace) {
		return usageError("export: -after is not a place that an export named")
	}
	if e.only != "" && e.only != e.done.namespace {
		return usageError("export: -after is a place in another namespace")
	}
	return nil
}

// The sessions of a page are in memory together. How many that are depends on
// their size.
const (
	smallPage = 16
	largePage = 256
	pageBytes = 4 << 20
)

func (e *exportJob) run(ctx context.Context, kept store.Store, _ *config) error {
	names := []string{e.only}
	if e.only == "" {
		var err error
		if names, err = kept.Namespaces(ctx, time.Now()); err != nil {
			return interruptedOr(ctx, err)
		}
	}
	w := bufio.NewWriterSize(e.out, 64<<10)
	for _, name := range names {
		cursor := ""
		if name == e.done.namespace {
			cursor = e.done.cursor
		}
		if name < e.done.namespace || name == e.done.namespace && cursor == "" {
			continue // done
		}
		if err := e.namespace(ctx, kept, w, name, cursor); err != nil {
			return err
		}
	}
	return nil
}

// namespace writes the sessions of a namespace from the cursor on.
func (e *exportJob) namespace(ctx context.Context, kept store.Store, w *bufio.Writer, name, cursor string) error {
	found := false
	for limit := smallPage; ; {
		page, err := kept.List(ctx, time.Now(), store.Query{Namespace: name, Limit: limit, Cursor: cursor})
		switch {
		case errors.Is(err, store.ErrBadCursor):
			return usageError("-after is not a place that an export named")
		case err != nil:
			return interruptedOr(ctx, err)
		}
		size, err := writePage(w, page.Sessions)
		if err != nil {
			e.cut = true
			return fmt.Errorf("writing: %w", err)
		}
		e.done = place{name, page.Next}
		e.sessions.Add(int64(len(page.Sessions)))
		if !found && len(page.Sessions) > 0 {
			found = true
			e.namespaces.Add(1)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		switch {
		case size > pageBytes:
			limit = max(limit/2, smallPage)
		case size < pageBytes/2:
			limit = min(2*limit, largePage)
		}
	}
}

// writePage writes records, all of them or an error.
func writePage(w *bufio.Writer, sessions []schema.Session) (size int, err error) {
	var line []byte
	for i := range sessions {
		line = append(sessions[i].AppendRecord(line[:0]), '\n')
		size += len(line)
		if _, err := w.Write(line); err != nil {
			return size, err
		}
	}
	return size, w.Flush()
}

func (e *exportJob) progress() (count int64, what string) {
	return e.sessions.Load(), "sessions exported"
}

func (e *exportJob) summary(took time.Duration, err error) string {
	n := e.sessions.Load()
	text := fmt.Sprintf("exported %s of %s in %s (%s)",
		counted(n, "session"), counted(e.namespaces.Load(), "namespace"), inAll(took), rate(n, took))
	if err == nil {
		return text
	}
	text += ", not all"
	if e.cut {
		text += "; the file may end within a line"
	}
	again := "; to go on: session-api export"
	if e.only != "" {
		again += " -namespace " + e.only
	}
	if e.done != (place{}) {
		again += " -after " + e.done.String()
	}
	return text + again
}

// interruptedOr returns err, unless that is what came of a signal.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}
