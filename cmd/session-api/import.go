package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// importJob puts the sessions of records into a store.
type importJob struct {
	in     io.Reader
	dryRun bool
	skip   int64

	rules *schema.Rules
	kept  store.Store

	// done is how many lines are: all up to that one.
	done                     atomic.Int64
	stored, existed, expired atomic.Int64
	// bad is the line that is not right; 0 for none.
	bad int64
}

// importing returns the job that the flags will describe.
func importing(flags *flag.FlagSet, std streams) transferJob {
	j := &importJob{in: std.in}
	flags.BoolVar(&j.dryRun, "dry-run", false, "")
	flags.Int64Var(&j.skip, "skip", 0, "")
	return j
}

func (j *importJob) check() error {
	if j.skip < 0 {
		return usageError("import: -skip is a number of lines")
	}
	if terminal, ok := j.in.(io.Writer); ok && onTerminal(terminal) {
		return usageError("import: it reads what export wrote from standard input: session-api import < FILE")
	}
	return nil
}

func (j *importJob) run(ctx context.Context, kept store.Store, c *config) error {
	j.kept, j.rules = kept, &schema.Rules{MaxBytes: c.MaxBytes}
	j.done.Store(j.skip)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan batch)
	go readBatches(reading, j.in, j.skip, c.MaxBytes, batches)
	for {
		select {
		case <-ctx.Done(): // standard input may be silent
			return errInterrupted
		case b, more := <-batches:
			if !more {
				return interruptedOr(ctx, nil)
			}
			if err := j.handle(ctx, b); err != nil {
				return err
			}
			if errors.Is(b.err, errLongLine) {
				j.bad = j.done.Load() + 1
			}
			if b.err != nil {
				return b.err
			}
		}
	}
}

// handle stores the sessions of a batch, up to the first line that is not
// right.
func (j *importJob) handle(ctx context.Context, b batch) error {
	sessions := make([]schema.Session, len(b.lines))
	errs := make([]error, len(b.lines))
	whole := context.WithoutCancel(ctx)
	inParallel(whole, len(b.lines), func(i int) bool {
		if len(bytes.TrimSpace(b.lines[i])) > 0 { // an empty line is no session
			sessions[i], errs[i] = j.rules.DecodeRecord(b.lines[i])
		}
		return true
	})
	right := firstError(errs)
	// What is begun is finished: only then it is known what has become of it.
	begun := inParallel(ctx, right, func(i int) bool {
		errs[i] = j.store(whole, &sessions[i])
		return errs[i] == nil
	})
	if failed := firstError(errs[:begun]); failed < begun {
		j.done.Store(b.before + int64(failed))
		return fmt.Errorf("line %d: %w", j.done.Load()+1, errs[failed])
	}
	j.done.Store(b.before + int64(begun))
	switch {
	case begun < right:
		return errInterrupted
	case right < len(b.lines):
		j.bad = j.done.Load() + 1
		hint := ""
		if b.cut && right == len(b.lines)-1 {
			hint = "; it is the last line and does not end with a line break, so the file may have been cut off"
		}
		return fmt.Errorf("line %d: %w%s", j.bad, errs[right], hint)
	}
	return nil
}

// store puts one session into the store, if it is not there.
func (j *importJob) store(ctx context.Context, sess *schema.Session) error {
	now := time.Now()
	switch {
	case sess.ID == "":
		return nil
	case !sess.Live(now):
		j.expired.Add(1)
		return nil
	}
	var err error
	if j.dryRun {
		err = j.find(ctx, now, sess.Key())
	} else {
		err = j.kept.Create(ctx, now, *sess)
	}
	switch {
	case errors.Is(err, store.ErrExists):
		j.existed.Add(1)
		return nil
	case err == nil:
		j.stored.Add(1)
	}
	return err
}

// find returns what Create of the key would.
func (j *importJob) find(ctx context.Context, now time.Time, key store.Key) error {
	found, err := j.kept.Peek(ctx, now, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil && found.ID == key.ID: // and not the successor of it
		return store.ErrExists
	}
	return err
}

func (j *importJob) progress() (count int64, what string) {
	return j.done.Load() - j.skip, "lines done"
}

func (j *importJob) summary(took time.Duration, err error) string {
	verb := "imported"
	if j.dryRun {
		verb = "would import"
	}
	lines := j.done.Load() - j.skip
	text := fmt.Sprintf("%s %s from %s in %s (%s); left as they are: %d, expired: %d", verb,
		counted(j.stored.Load(), "session"), counted(lines, "line"), inAll(took), rate(lines, took),
		j.existed.Load(), j.expired.Load())
	if err == nil || errors.Is(err, errFewLines) {
		return text
	}
	text += fmt.Sprintf("; to go on: session-api import -skip %d", j.done.Load())
	if j.bad > 0 {
		text += fmt.Sprintf(", or without line %d: -skip %[1]d", j.bad)
	}
	return text
}

// workers is how many sessions are handled at once: a store on another machine
// takes them together.
const workers = 64

// inParallel calls do with 0 to n-1, in that order, several at once, until one
// returns false or ctx ends. It returns up to where it came: do was called for
// all below, and has returned.
func inParallel(ctx context.Context, n int, do func(i int) bool) (begun int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var stopped atomic.Bool
	take := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if begun == n || stopped.Load() || ctx.Err() != nil {
			return 0, false
		}
		begun++
		return begun - 1, true
	}
	for range min(workers, n) {
		all.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if !do(i) {
					stopped.Store(true)
				}
			}
		})
	}
	all.Wait()
	return begun
}

// firstError is the index of the first error; where there is none, the length.
func firstError(errs []error) int {
	for i, err := range errs {
		if err != nil {
			return i
		}
	}
	return len(errs)
}
