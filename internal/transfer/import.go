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
	"session-api/internal/store/backend"
)

// Import puts the sessions of records into a store. A session that is there
// already, was ended there lately or has expired is left out, so that an import
// can be repeated. No other session goes for it: where there is no room left, it
// stops with backend.ErrFull. The lines that a backup has around its records are
// passed over. It is for one Run.
type Import struct {
	Store backend.Store
	// Rules say how large a document may be. Their other rules are not applied:
	// what was stored comes back as it was.
	Rules *schema.Rules
	Now   func() time.Time
	// Limits is what the store may drop sessions by; nil where it has none.
	Limits backend.Limited
	// Skip is how many lines at the beginning are left out.
	Skip int64
	// DryRun: nothing is stored, only counted. What was ended lately counts as
	// stored then, since a store tells that only to who creates.
	DryRun bool

	done                             atomic.Int64
	stored, existing, ended, expired atomic.Int64
	// need is what the sessions take that a dry run would store.
	need    atomic.Int64
	present atomic.Int64

	mu   sync.Mutex
	keys []key // of what was stored
}

// key is a session that was stored, and its deadline in ms.
type key struct {
	backend.Key
	expires int64
}

// ErrMissing: sessions that were stored are not there any more when all are.
var ErrMissing = errors.New("sessions that were imported are not there any more")

// Counts is what became of lines.
type Counts struct {
	// Lines are done: so many after those that were skipped.
	Lines                            int64
	Stored, Existing, Ended, Expired int64
}

// Counts may be asked at any time.
func (j *Import) Counts() Counts {
	return Counts{
		Lines: j.done.Load(), Stored: j.stored.Load(),
		Existing: j.existing.Load(), Ended: j.ended.Load(), Expired: j.expired.Load(),
	}
}

// LineError is why an import stopped. All lines before that one are done.
type LineError struct {
	// Line is its number, from 1.
	Line int64
	// Bad: the line is not right, and never will be. Otherwise it could not be
	// read or stored, and may be tried again.
	Bad bool
	// Cut: it is the last line and has no line break, as if the rest were lost.
	Cut bool
	Err error
}

func (e *LineError) Error() string {
	hint := ""
	if e.Cut {
		hint = "; it is the last line and does not end with a line break, so the file may have been cut off"
	}
	return fmt.Sprintf("line %d: %v%s", e.Line, e.Err, hint)
}

func (e *LineError) Unwrap() error { return e.Err }

// ErrFewLines: more lines are to be left out than there are.
var ErrFewLines = errors.New("fewer lines than are to be left out")

// Run reads lines to the end of in, and stores their sessions. It stops at the
// first line that is not right, cannot be read or cannot be stored, with a
// *LineError; with ErrFewLines; or with ErrInterrupted if ctx ended it. Empty
// lines are passed over.
//
// Where in fails with ErrInterrupted, that is taken as ctx's end.
func (j *Import) Run(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, readAhead)
	for n := range j.Skip {
		switch _, _, err := readLine(r, -1); {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: %d", ErrFewLines, n)
		case errors.Is(err, ErrInterrupted):
			return err
		case err != nil:
			return &LineError{Line: n + 1, Err: err}
		}
	}
	for {
		b := readBatch(r, j.Rules.MaxBytes+recordHead)
		if err := j.handle(ctx, b); err != nil {
			return err
		}
		switch {
		case b.err == nil:
		case errors.Is(b.err, io.EOF):
			return j.checkPresent(ctx)
		case errors.Is(b.err, ErrInterrupted):
			return b.err
		default:
			return &LineError{Line: j.line(), Bad: errors.Is(b.err, ErrLongLine), Err: b.err}
		}
	}
}

// line is the number of the first line that is not done.
func (j *Import) line() int64 { return j.Skip + j.done.Load() + 1 }

// handle stores the sessions of a batch, up to the first line that is not
// right.
func (j *Import) handle(ctx context.Context, b batch) error {
	sessions := make([]schema.Session, len(b.lines))
	errs := make([]error, len(b.lines))
	whole := context.WithoutCancel(ctx)
	inParallel(whole, len(b.lines), func(i int) bool {
		if len(bytes.TrimSpace(b.lines[i])) > 0 && !isFrame(b.lines[i]) { // an empty line is no session
			sessions[i], errs[i] = j.Rules.DecodeRecord(b.lines[i])
		}
		return true
	})
	right := firstError(errs)
	// What is begun is finished: only then it is known what has become of it.
	begun := inParallel(ctx, right, func(i int) bool {
		errs[i] = j.store(whole, &sessions[i])
		return errs[i] == nil
	})
	failed := firstError(errs[:begun])
	j.done.Add(int64(failed))
	switch {
	case failed < begun:
		return &LineError{Line: j.line(), Err: errs[failed]}
	case begun < right:
		return ErrInterrupted
	case right < len(b.lines):
		return &LineError{Line: j.line(), Bad: true, Cut: b.cut && right == len(b.lines)-1, Err: errs[right]}
	}
	return nil
}

// store puts one session into the store, if it is not there.
func (j *Import) store(ctx context.Context, sess *schema.Session) error {
	now := j.Now()
	switch {
	case sess.ID == "":
		return nil
	case !sess.Live(now):
		j.expired.Add(1)
		return nil
	}
	sess.Trusted, sess.Imported, sess.Additional = true, true, true // an operator's doing, not a flood of visitors
	var err error
	if j.DryRun {
		err = j.find(ctx, now, sess.Key())
	} else {
		err = j.Store.Create(ctx, now, *sess)
		if errors.Is(err, backend.ErrLapsed) { // nobody ended it, and this one lives
			err = j.Store.Revive(ctx, now, *sess)
		}
	}
	switch {
	case err == nil:
		j.stored.Add(1)
		j.note(sess)
	case errors.Is(err, backend.ErrExists):
		j.existing.Add(1)
	case errors.Is(err, backend.ErrEnded):
		j.ended.Add(1)
	default:
		return err
	}
	return nil
}

// find returns what Create of the key would.
func (j *Import) find(ctx context.Context, now time.Time, key backend.Key) error {
	found, err := j.Store.Peek(ctx, now, key)
	switch {
	case errors.Is(err, backend.ErrNotFound):
		return nil
	case err == nil && found.ID == key.ID: // and not the successor of it
		return backend.ErrExists
	}
	return err
}

// note keeps in mind what was stored, where a store may drop it again.
func (j *Import) note(sess *schema.Session) {
	switch {
	case j.Limits == nil:
	case j.DryRun:
		j.need.Add(j.Limits.Cost(sess))
	default:
		j.mu.Lock()
		defer j.mu.Unlock()
		j.keys = append(j.keys, key{sess.Key(), sess.ExpiresAt.UnixMilli()})
	}
}

// Present is how many of the sessions that were stored, or were there before, are
// there: all but those that have expired since.
func (j *Import) Present() int64 { return j.present.Load() }

// checkPresent looks whether what was stored is there.
func (j *Import) checkPresent(ctx context.Context) error {
	stored := j.stored.Load()
	j.present.Store(stored + j.existing.Load())
	if j.DryRun {
		return j.checkRoom(ctx)
	}
	missing := int64(0)
	for i := range j.keys {
		now := j.Now()
		if j.keys[i].expires <= now.UnixMilli() {
			continue
		}
		_, err := j.Store.Peek(ctx, now, j.keys[i].Key)
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

// RoomError is that of a dry run that has found too little room. It is a kind of
// backend.ErrFull.
type RoomError struct {
	// Sessions of Bytes are to be stored, where there is room for Free.
	Sessions, Bytes int64
	Free            backend.Room
}

func (e *RoomError) Error() string {
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
func (e *RoomError) Unwrap() error { return backend.ErrFull }

// checkRoom looks whether all that would be stored fits in.
func (j *Import) checkRoom(ctx context.Context) error {
	if j.Limits == nil {
		return nil
	}
	free, err := j.Limits.Room(ctx, j.Now())
	if err != nil {
		return interruptedOr(ctx, err)
	}
	need := &RoomError{j.stored.Load(), j.need.Load(), free}
	if free.Entries >= 0 && need.Sessions > free.Entries || free.Bytes >= 0 && need.Bytes > free.Bytes {
		return need
	}
	return nil
}
