package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/transfer"
)

// importJob puts the sessions of records into a store.
type importJob struct {
	in   io.Reader
	work transfer.Import
}

// importing returns the job that the flags will describe.
func importing(flags *flag.FlagSet, std streams) transferJob {
	j := &importJob{in: std.in}
	flags.BoolVar(&j.work.DryRun, "dry-run", false, "")
	flags.Int64Var(&j.work.Skip, "skip", 0, "")
	return j
}

func (j *importJob) check() error {
	if j.work.Skip < 0 {
		return usageError("import: -skip is a number of lines")
	}
	if terminal, ok := j.in.(io.Writer); ok && onTerminal(terminal) {
		return usageError("import: it reads what export wrote from standard input: session-api import < FILE")
	}
	return nil
}

func (j *importJob) run(ctx context.Context, kept backend.Store, c *config.Config) error {
	j.work.Now, j.work.Rules = time.Now, &schema.Rules{MaxBytes: c.Documents.MaxBytes}
	j.work.To = storedSessions(kept)
	if err := j.askForRoom(ctx); err != nil {
		return fmt.Errorf("%w (SESSION_MAX_ENTRIES, SESSION_MAX_MEMORY_BYTES)", err)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	err := j.work.Run(ctx, newPatientReader(reading, j.in))
	switch {
	case errors.Is(err, backend.ErrFull):
		return fmt.Errorf("%w (SESSION_MAX_ENTRIES, SESSION_MAX_MEMORY_BYTES)", err)
	case errors.Is(err, transfer.ErrLineTooLong):
		return fmt.Errorf("%w (SESSION_MAX_BYTES)", err)
	case errors.Is(err, transfer.ErrTooFewLines):
		return fmt.Errorf("-skip: %w", err)
	}
	return err
}

// askForRoom reads a file once before it is imported, so that one which does not
// fit in is refused before any of it is stored. What comes through a pipe is
// stored as far as it fits.
func (j *importJob) askForRoom(ctx context.Context) error {
	file, ok := j.in.(*os.File)
	if !ok || j.work.DryRun || !j.work.To.Limited() {
		return nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // then it cannot be read twice
	}
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	dry := transfer.Import{To: j.work.To, Now: j.work.Now, Rules: j.work.Rules, Skip: j.work.Skip, DryRun: true}
	if err := dry.Run(ctx, file); errors.Is(err, backend.ErrFull) || errors.Is(err, transfer.ErrInterrupted) {
		return err
	}
	// What else is wrong stops the import at its line.
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return fmt.Errorf("reading the file again: %w", err)
	}
	return nil
}

func (j *importJob) progress() (count int64, what string) {
	return j.work.Counts().Lines, "lines done"
}

func (j *importJob) summary(took time.Duration, err error) string {
	verb := "imported"
	if j.work.DryRun {
		verb = "would import"
	}
	n := j.work.Counts()
	text := fmt.Sprintf("%s %s from %s in %s (%s); left as they are: %d, ended there: %d, expired: %d", verb,
		counted(n.Stored, "session"), counted(n.Lines, "line"), inAll(took), rate(n.Lines, took),
		n.Existing, n.Ended, n.Expired)
	if !j.work.DryRun && (err == nil || errors.Is(err, transfer.ErrMissing)) {
		text += fmt.Sprintf("; present now: %d", j.work.Present())
	}
	if err == nil || errors.Is(err, transfer.ErrMissing) || errors.Is(err, backend.ErrFull) && n.Lines == 0 || errors.Is(err, transfer.ErrTooFewLines) {
		return text
	}
	text += fmt.Sprintf("; to go on: session-api import -skip %d", j.work.Skip+n.Lines)
	if bad, ok := errors.AsType[*transfer.LineError](err); ok && bad.Invalid {
		text += fmt.Sprintf(", or without line %d: -skip %[1]d", bad.Line)
	}
	return text
}

// patientReader reads from what may be silent for long, like standard input,
// and fails with transfer.ErrInterrupted as soon as its context ends.
type patientReader struct {
	ctx    context.Context // io.Reader has no place for it
	chunks chan chunk
	rest   chunk
}

type chunk struct {
	content []byte
	err     error
}

// newPatientReader reads in until ctx ends.
func newPatientReader(ctx context.Context, in io.Reader) *patientReader {
	r := &patientReader{ctx: ctx, chunks: make(chan chunk)}
	go r.fill(in)
	return r
}

// fill hands out what it reads. While one half of its memory is handed out, it
// reads into the other.
func (r *patientReader) fill(in io.Reader) {
	const half = 1 << 20
	memory := make([]byte, 2*half)
	for next := memory[:half]; ; {
		n, err := in.Read(next)
		select {
		case r.chunks <- chunk{next[:n], err}:
		case <-r.ctx.Done():
			return
		}
		if err != nil {
			return
		}
		if &next[0] == &memory[0] {
			next = memory[half:]
		} else {
			next = memory[:half]
		}
	}
}

// Read implements io.Reader.
func (r *patientReader) Read(p []byte) (int, error) {
	if len(r.rest.content) == 0 && r.rest.err == nil {
		select {
		case r.rest = <-r.chunks:
		case <-r.ctx.Done():
			return 0, transfer.ErrInterrupted
		}
	}
	n := copy(p, r.rest.content)
	r.rest.content = r.rest.content[n:]
	if len(r.rest.content) == 0 {
		return n, r.rest.err
	}
	return n, nil
}
