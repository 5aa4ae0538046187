// Package transfer copies sessions out of a store and into another, as records: one
// line of JSON each. It needs the same memory for any number of sessions.
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
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// ErrInterrupted is returned if the context ended before the work was done.
var ErrInterrupted = errors.New("interrupted")

// Export writes the records of sessions. It must be used for one Run only.
type Export struct {
	From *store.Sessions
	Now  func() time.Time
	// Namespace is the namespace to export; empty for all.
	Namespace string
	// Position is where Run starts; after Run, it is the position up to which all was
	// written.
	Position Position
	// Truncated reports that a write failed, so that the last line may be incomplete.
	Truncated bool

	sessions, namespaces atomic.Int64
}

// Position is a position in an export: after a page of a namespace, or after the whole
// namespace if Cursor is empty. The zero Position is the beginning.
type Position struct{ Namespace, Cursor string }

// String returns the text that ParsePosition parses.
func (p Position) String() string { return p.Namespace + "/" + p.Cursor }

// ParsePosition parses the text of a position.
func ParsePosition(text string) (p Position, ok bool) {
	p.Namespace, p.Cursor, ok = strings.Cut(text, "/")
	return p, ok && schema.ValidNamespace(p.Namespace)
}

// Sessions returns the number of sessions written so far. It is safe to call during Run.
func (e *Export) Sessions() int64 { return e.sessions.Load() }

// Namespaces returns the number of namespaces that have sessions.
func (e *Export) Namespaces() int64 { return e.namespaces.Load() }

// The sessions of a page are in memory at once, so the page size depends on their size.
const (
	smallPage = 16
	largePage = 256
	pageBytes = 4 << 20
)

// Run writes the records, a line each, ordered by namespace. It flushes to w after each
// page. It returns ErrInterrupted if ctx ended it, backend.ErrBadCursor if Position is not
// one of this store, or the error of the store or of w.
func (e *Export) Run(ctx context.Context, w io.Writer) error {
	names := []string{e.Namespace}
	if e.Namespace == "" {
		var err error
		if names, err = e.From.Namespaces(ctx, e.Now()); err != nil {
			return interruptedOr(ctx, err)
		}
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	from := e.Position
	for _, name := range names {
		cursor := ""
		if name == from.Namespace {
			cursor = from.Cursor
		}
		if name < from.Namespace || name == from.Namespace && cursor == "" {
			continue // done
		}
		if err := e.exportNamespace(ctx, buffered, name, cursor); err != nil {
			return err
		}
	}
	return nil
}

// exportNamespace writes the sessions of a namespace after the cursor.
func (e *Export) exportNamespace(ctx context.Context, w *bufio.Writer, name, cursor string) error {
	found := false
	for limit := smallPage; ; {
		page, err := e.From.List(ctx, e.Now(), backend.Query{Namespace: name, Limit: limit, Cursor: cursor})
		if err != nil {
			return interruptedOr(ctx, err)
		}
		size, err := writePage(w, page.Sessions)
		if err != nil {
			e.Truncated = true
			return fmt.Errorf("writing: %w", err)
		}
		e.Position = Position{name, page.Next}
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

// writePage writes the records of a page and flushes them.
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

// interruptedOr returns ErrInterrupted if the context has ended, and err otherwise.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}
