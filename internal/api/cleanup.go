package api

import (
	"context"
	"errors"
	"net/http"

	"session-api/internal/schema"
)

// ErrCleanupRunning: another instance is cleaning.
var ErrCleanupRunning = errors.New("cleanup running on another instance")

// ErrCleanupOtherStore: the directory of files belongs to another store.
var ErrCleanupOtherStore = errors.New("the directory of files belongs to another store")

// ErrCleanupUnavailable: the directory of files is gone, or must not be cleaned.
var ErrCleanupUnavailable = errors.New("the directory of files cannot be cleaned")

// Cleaner is the cleanup job.
type Cleaner interface {
	// Run cleans now, or says what it would do. Returns ErrCleanupOtherStore or
	// ErrCleanupUnavailable if no files can be cleaned, and ErrCleanupRunning if
	// another instance did not finish cleaning while it waited.
	Run(ctx context.Context, dryRun bool) (schema.CleanupReport, error)
	// Last is the report of the last run that was not dry; false before it.
	Last() (schema.CleanupReport, bool)
	// Totals are the sums of all runs that were not dry.
	Totals() schema.CleanupTotals
	// Status says whether files are cleaned.
	Status() schema.CleanupStatus
}

// runCleanup runs the cleanup now, or says what it would do.
func (s *Server) runCleanup(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := flag(r, "dryRun", false)
	if err != nil {
		return err
	}
	limits := newDeadlines(w, r)
	report, err := s.Cleaner.Run(r.Context(), dryRun)
	limits.beforeWrite() // a run may have taken longer than an answer usually may
	if err != nil {
		return err
	}
	return writeJSON(w, report)
}
