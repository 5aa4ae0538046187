// Package transfer takes sessions out of a store and puts them into another:
// as records, of which each is one line of JSON. How many sessions there are
// does not matter to the memory that it takes.
package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// ErrInterrupted: the context ended the work before it was done.
var ErrInterrupted = errors.New("interrupted")

// Export writes the records of sessions. It is for one Run.
type Export struct {
	Store backend.Store
	Now   func() time.Time
	// Only is the one namespace that is exported; empty for all.
	Only string
	// Done is the place after which Run begins, and up to which it has written
	// all. It may be looked at when Run has returned.
	Done Place
	// Cut: Run failed while it wrote, so that the last line may not be whole.
	Cut bool

	sessions, namespaces atomic.Int64
}

// Place is a place in an export: after a page of a namespace, or after all of
// it where there is no cursor. The zero place is the beginning.
type Place struct{ Namespace, Cursor string }

// String is what ParsePlace takes.
func (p Place) String() string { return p.Namespace + "/" + p.Cursor }

// ParsePlace reads what String writes.
func ParsePlace(text string) (p Place, ok bool) {
	p.Namespace, p.Cursor, ok = strings.Cut(text, "/")
	return p, ok && schema.ValidNamespace(p.Namespace)
}

// Sessions is how many sessions are written. It may be asked at any time.
func (e *Export) Sessions() int64 { return e.sessions.Load() }

// Namespaces is how many namespaces they are of.
func (e *Export) Namespaces() int64 { return e.namespaces.Load() }

// The sessions of a page are in memory together. How many that are depends on
// their size.
const (
	smallPage = 16
	largePage = 256
	pageBytes = 4 << 20
)

// Run writes the records, each with a line break, in the order of namespaces.
// Between two pages all that it has is handed to w. Returns ErrInterrupted if
// ctx ended it, backend.ErrBadCursor if Done is no place of this store, and the
// error of the store or of w.
func (e *Export) Run(ctx context.Context, w io.Writer) error {
	names := []string{e.Only}
	if e.Only == "" {
		var err error
		if names, err = e.Store.Namespaces(ctx, e.Now()); err != nil {
			return interruptedOr(ctx, err)
		}
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	from := e.Done
	for _, name := range names {
		cursor := ""
		if name == from.Namespace {
			cursor = from.Cursor
		}
		if name < from.Namespace || name == from.Namespace && cursor == "" {
			continue // done
		}
		if err := e.namespace(ctx, buffered, name, cursor); err != nil {
			return err
		}
	}
	return nil
}

// namespace writes the sessions of a namespace from the cursor on.
func (e *Export) namespace(ctx context.Context, w *bufio.Writer, name, cursor string) error {
	found := false
	for limit := smallPage; ; {
		page, err := e.Store.List(ctx, e.Now(), backend.Query{Namespace: name, Limit: limit, Cursor: cursor})
		if err != nil {
			return interruptedOr(ctx, err)
		}
		size, err := writePage(w, page.Sessions)
		if err != nil {
			e.Cut = true
			return fmt.Errorf("writing: %w", err)
		}
		e.Done = Place{name, page.Next}
		e.sessions.Add(int64(len(page.Sessions)))
		if !found && len(page.Sessions) > 0 {
			found = true
			e.namespaces.Add(1)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
		if ctx.Err() != nil {
			return ErrInterrupted
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

// interruptedOr returns err, unless that is what came of the context's end.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}
