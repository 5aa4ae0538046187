package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"session-api/internal/audit"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/transfer"
)

// recordTypes are the media types of records, a line of JSON each.
var recordTypes = []string{"application/x-ndjson", "application/jsonl"}

// exportSessions sends the records of all live sessions. A failure after the first record
// aborts the connection, so that the answer does not look complete. HEAD reads none.
func (s *Server) exportSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	work := transfer.Export{From: s.Sessions, Now: s.Now}
	if q.Has("namespace") {
		if work.Namespace, err = namespace(q); err != nil {
			return err
		}
	}
	w.Header()["Content-Type"] = recordTypes[:1]
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := s.beginTransfer(r, audit.Export, spaceDetails(work.Namespace)); err != nil {
		delete(w.Header(), "Content-Type")
		return err
	}
	out := newDeadlines(w, r)
	defer out.beforeWrite() // net/http ends the answer
	ctx, stop := s.whileAllowed(r, out)
	defer stop()
	begun := false
	err = work.Run(ctx, writerFunc(func(p []byte) (int, error) {
		begun = true
		return out.Write(p)
	}))
	details := spaceDetails(work.Namespace)
	details["sessions"] = work.Sessions()
	s.endTransfer(r, audit.Export, err, details)
	switch {
	case err == nil:
		return nil // an answer without a body has a status, too
	case begun:
		s.Logger.WarnContext(r.Context(), "export cut off",
			"error", err, "sessions", work.Sessions(), "requestId", w.Header().Get(headerRequestID))
		panic(http.ErrAbortHandler)
	case errors.Is(err, transfer.ErrInterrupted):
		return context.Cause(ctx)
	}
	return err
}

// beginTransfer records that sessions are about to be read or written as a whole. What
// is read has left by the time that it is known how much it was.
func (s *Server) beginTransfer(r *http.Request, act audit.Act, details map[string]any) error {
	if err := s.admitAct(); err != nil {
		return err
	}
	if s.recordAct(r, act, audit.Begun, details) != nil {
		return errNotAudited
	}
	return nil
}

// endTransfer records what became of it.
func (s *Server) endTransfer(r *http.Request, act audit.Act, err error, details map[string]any) {
	_ = s.recordAct(r, act, outcomeOf(err), details) // it was recorded that it has begun
}

// spaceDetails are the details of an entry about a namespace, empty for all.
func spaceDetails(namespace string) map[string]any {
	if namespace == "" {
		return map[string]any{}
	}
	return map[string]any{"namespace": namespace}
}

// writerFunc is a function that writes.
type writerFunc func(p []byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// importReport is the answer to an import.
type importReport struct {
	Imported int64 `json:"imported"`
	Existing int64 `json:"existing"`
	Ended    int64 `json:"ended"`
	Expired  int64 `json:"expired"`
	Present  int64 `json:"present"`
}

// importSessions stores the sessions of the records in the body, up to the
// first that is not right.
func (s *Server) importSessions(w http.ResponseWriter, r *http.Request) error {
	limits := newDeadlines(w, r)
	defer limits.beforeWrite() // it may have taken long
	body := bufio.NewReader(limits.body(r))
	if r.ContentLength <= 0 { // perhaps nothing, as an empty store exports it
		if _, err := body.Peek(1); errors.Is(err, io.EOF) {
			return writeJSON(w, importReport{})
		}
	}
	if err := checkMediaType(r, recordTypes); err != nil {
		return err
	}
	if err := s.beginTransfer(r, audit.Import, nil); err != nil {
		return err
	}
	ctx, stop := s.whileAllowed(r, limits)
	defer stop()
	work := transfer.Import{To: s.Sessions, Rules: s.Rules, Now: s.Now}
	err := work.Run(ctx, body)
	n := work.Counts()
	s.endTransfer(r, audit.Import, err, map[string]any{"imported": n.Stored, "existing": n.Existing, "ended": n.Ended, "expired": n.Expired})
	log := s.Logger.With("imported", n.Stored, "existing", n.Existing, "ended", n.Ended, "expired", n.Expired,
		"requestId", w.Header().Get(headerRequestID))
	switch {
	case errors.Is(err, transfer.ErrMissing):
		log.ErrorContext(r.Context(), "sessions that were imported are not there any more", "present", work.Present())
		return fmt.Errorf("%w: %w", &problem{codeStoreFull, fmt.Sprintf(
			"%d sessions were stored, and of these and %d that were there before %d are present at the end: others took their room.",
			n.Stored, n.Existing, work.Present())}, err)
	case err != nil:
		log.WarnContext(r.Context(), "import stopped", "error", err, "lines", n.Lines)
		closeConnection(w, r) // the rest of the body is not read
		if errors.Is(context.Cause(ctx), errNoService) {
			return errNoService
		}
		return stoppedImport(r, err, n.Stored)
	}
	log.InfoContext(r.Context(), "import done", "present", work.Present())
	return writeJSON(w, importReport{Imported: n.Stored, Existing: n.Existing, Ended: n.Ended, Expired: n.Expired, Present: work.Present()})
}

// stoppedImport returns the error of an import that stopped: what it would be
// of a single session, and where.
func stoppedImport(r *http.Request, err error, stored int64) error {
	at, ok := errors.AsType[*transfer.LineError](err)
	if !ok {
		return r.Context().Err() // the client has gone
	}
	code, detail, fields := describe(at.Err)
	if errors.Is(at.Err, transfer.ErrLineTooLong) {
		code, detail = schema.CodeTooLarge, at.Err.Error()
	}
	if at.Truncated {
		detail += "; it is the last line and does not end with a line break, so the file may have been cut off"
	}
	said := "Line %d: %s. Before it, %d sessions were stored."
	if errors.Is(at.Err, backend.ErrFull) { // several lines are stored at once
		said = "Line %d: %s. Before it, or at the same time, %d sessions were stored."
	}
	detail = fmt.Sprintf(said, at.Line, strings.TrimSuffix(detail, "."), stored)
	if at.Invalid {
		return &schema.Error{Code: code, Detail: detail, Fields: fields}
	}
	return fmt.Errorf("%w: %w", &problem{code, detail}, at)
}
