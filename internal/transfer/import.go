package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// Import stores the sessions of records. It skips a session that exists, was ended lately
// or has expired, so that an import can be repeated. It evicts no session: if there is
// no room left, it stops with backend.ErrFull. The head and tail of a backup are skipped.
// It must be used for one Run only.
type Import struct {
	To *store.Sessions
	// Rules bound the size of documents. Their other rules are not applied: what was
	// stored before is stored unchanged.
	Rules *schema.Rules
	Now   func() time.Time
	// Skip is the number of lines to skip.
	Skip int64
	// DryRun only counts. A session that was ended lately counts as stored then, since
	// only Create finds that out.
	DryRun bool

	linesDone                        atomic.Int64
	stored, existing, ended, expired atomic.Int64
	// requiredBytes is the cost of the sessions that a dry run would store.
	requiredBytes atomic.Int64
	present       atomic.Int64

	mu   sync.Mutex
	keys []storedKey // of what was stored
}

// storedKey is a session that was stored, and its deadline in milliseconds.
type storedKey struct {
	backend.Key
	expires int64
}

// ErrMissing is returned if sessions that were stored are gone when the import ends.
var ErrMissing = errors.New("sessions that were imported are not there any more")

// Counts are the results of an import by line.
type Counts struct {
	// Lines is the number of lines done, without those that were skipped.
	Lines                            int64
	Stored, Existing, Ended, Expired int64
}

// Counts returns the results so far. It is safe to call during Run.
func (j *Import) Counts() Counts {
	return Counts{
		Lines: j.linesDone.Load(), Stored: j.stored.Load(),
		Existing: j.existing.Load(), Ended: j.ended.Load(), Expired: j.expired.Load(),
	}
}

// LineError is the error that stopped an import. All lines before Line are done.
type LineError struct {
	// Line is the line's number, counted from 1.
	Line int64
	// Invalid reports that the line is not valid. Otherwise it could not be read or
	// stored, and the import may be repeated.
	Invalid bool
	// Truncated reports that it is the last line and has no line break.
	Truncated bool
	Err       error
}

func (e *LineError) Error() string {
	hint := ""
	if e.Truncated {
		hint = "; it is the last line and does not end with a line break, so the file may have been cut off"
	}
	return fmt.Sprintf("line %d: %v%s", e.Line, e.Err, hint)
}

func (e *LineError) Unwrap() error { return e.Err }

// ErrTooFewLines is returned if there are fewer lines than Skip.
var ErrTooFewLines = errors.New("fewer lines than are to be left out")

// Run stores the sessions of all lines of in. It stops with a *LineError at the first
// line that is invalid or cannot be read or stored, with ErrTooFewLines, or with
// ErrInterrupted if ctx ended it. Empty lines are skipped.
//
// ErrInterrupted as an error of in counts as the end of ctx.
func (j *Import) Run(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, readAhead)
	for n := range j.Skip {
		switch _, _, err := readLine(r, -1); {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: %d", ErrTooFewLines, n)
		case errors.Is(err, ErrInterrupted):
			return err
		case err != nil:
			return &LineError{Line: n + 1, Err: err}
		}
	}
	for {
		b := readBatch(r, j.Rules.MaxBytes+recordHead)
		if err := j.storeBatch(ctx, b); err != nil {
			return err
		}
		switch {
		case b.err == nil:
		case errors.Is(b.err, io.EOF):
			return j.checkPresent(ctx)
		case errors.Is(b.err, ErrInterrupted):
			return b.err
		default:
			return &LineError{Line: j.line(), Invalid: errors.Is(b.err, ErrLineTooLong), Err: b.err}
		}
	}
}

// line returns the number of the first line that is not done.
func (j *Import) line() int64 { return j.Skip + j.linesDone.Load() + 1 }

// storeBatch stores the sessions of a batch, up to the first invalid line.
func (j *Import) storeBatch(ctx context.Context, b batch) error {
	sessions := make([]schema.Session, len(b.lines))
	errs := make([]error, len(b.lines))
	whole := context.WithoutCancel(ctx)
	parallelFor(whole, len(b.lines), func(i int) bool {
		if len(bytes.TrimSpace(b.lines[i])) > 0 && !isHeadOrTail(b.lines[i]) { // an empty line is no session
			sessions[i], errs[i] = j.Rules.DecodeRecord(b.lines[i])
		}
		return true
	})
	right := firstError(errs)
	// Calls that have begun are completed, so that their result is known.
	begun := parallelFor(ctx, right, func(i int) bool {
		errs[i] = j.store(whole, &sessions[i])
		return errs[i] == nil
	})
	failed := firstError(errs[:begun])
	j.linesDone.Add(int64(failed))
	switch {
	case failed < begun:
		return &LineError{Line: j.line(), Err: errs[failed]}
	case begun < right:
		return ErrInterrupted
	case right < len(b.lines):
		return &LineError{Line: j.line(), Invalid: true, Truncated: b.truncated && right == len(b.lines)-1, Err: errs[right]}
	}
	return nil
}

// store stores a session unless it exists.
func (j *Import) store(ctx context.Context, sess *schema.Session) error {
	now := j.Now()
	switch {
	case sess.ID == "":
		return nil
	case !sess.Live(now):
		j.expired.Add(1)
		return nil
	}
	var err error
	if j.DryRun {
		err = j.dryCreate(ctx, now, sess.Key())
	} else {
		err = j.To.Import(ctx, now, *sess)
	}
	switch {
	case err == nil:
		j.stored.Add(1)
		j.track(sess)
	case errors.Is(err, backend.ErrExists):
		j.existing.Add(1)
	case errors.Is(err, backend.ErrEnded):
		j.ended.Add(1)
	default:
		return err
	}
	return nil
}

// dryCreate returns the error that Create would return for the key.
func (j *Import) dryCreate(ctx context.Context, now time.Time, key backend.Key) error {
	found, err := j.To.Peek(ctx, now, key)
	switch {
	case errors.Is(err, backend.ErrNotFound):
		return nil
	case err == nil && found.ID == key.ID: // not its successor
		return backend.ErrExists
	}
	return err
}

// track records a session that was stored, for checkPresent or checkCapacity.
func (j *Import) track(sess *schema.Session) {
	switch {
	case !j.To.Limited():
	case j.DryRun:
		j.requiredBytes.Add(j.To.Cost(sess))
	default:
		j.mu.Lock()
		defer j.mu.Unlock()
		j.keys = append(j.keys, storedKey{sess.Key(), sess.ExpiresAt.UnixMilli()})
	}
}

// Present returns how many of the sessions that were stored or existed are present,
// without those that have expired since.
func (j *Import) Present() int64 { return j.present.Load() }

// checkPresent counts the stored sessions that are still present.
func (j *Import) checkPresent(ctx context.Context) error {
	stored := j.stored.Load()
	j.present.Store(stored + j.existing.Load())
	if j.DryRun {
		return j.checkCapacity(ctx)
	}
	missing := int64(0)
	for i := range j.keys {
		now := j.Now()
		if j.keys[i].expires <= now.UnixMilli() {
			continue
		}
		_, err := j.To.Peek(ctx, now, j.keys[i].Key)
		switch {
		case errors.Is(err, backend.ErrNotFound):
			missing++
		case err != nil:
			return interruptedOr(ctx, err)
		}
	}
	if missing > 0 {
		j.present.Add(-missing)
		return fmt.Errorf("%w: %d of %d", ErrMissing, missing, stored)
	}
	return nil
}

// CapacityError is the error of a dry run that found too little room. It wraps
// backend.ErrFull.
type CapacityError struct {
	// Sessions and Bytes are required, and Free is available.
	Sessions, Bytes int64
	Free            backend.Room
}

func (e *CapacityError) Error() string {
	text := fmt.Sprintf("there is not enough room: %d sessions take %d bytes of memory, and", e.Sessions, e.Bytes)
	if e.Free.Entries >= 0 && e.Sessions > e.Free.Entries {
		text += fmt.Sprintf(" %d more sessions fit in", e.Free.Entries)
		if e.Free.Bytes >= 0 && e.Bytes > e.Free.Bytes {
			text += ","
		}
	}
	if e.Free.Bytes >= 0 && e.Bytes > e.Free.Bytes {
		text += fmt.Sprintf(" %d bytes are free", e.Free.Bytes)
	}
	return text
}

// Unwrap returns backend.ErrFull.
func (e *CapacityError) Unwrap() error { return backend.ErrFull }

// checkCapacity checks that what a dry run would store has room.
func (j *Import) checkCapacity(ctx context.Context) error {
	free, err := j.To.Room(ctx, j.Now())
	if err != nil {
		return interruptedOr(ctx, err)
	}
	need := &CapacityError{j.stored.Load(), j.requiredBytes.Load(), free}
	if free.Entries >= 0 && need.Sessions > free.Entries || free.Bytes >= 0 && need.Bytes > free.Bytes {
		return need
	}
	return nil
}
