package api

import (
	"context"
	"net/http"

	"session-api/internal/cleanup"
)

// Cleaner is the cleanup job.
type Cleaner interface {
	// Run cleans now, or says what it would do. Returns cleanup.ErrOtherStore or
	// cleanup.ErrDirectory if no files can be cleaned, and cleanup.ErrBusy if
	// another instance did not finish cleaning while it waited.
	Run(ctx context.Context, dryRun bool) (cleanup.Report, error)
	// Last is the report of the last run that was not dry; false before it.
	Last() (cleanup.Report, bool)
	// Totals are the sums of all runs that were not dry.
	Totals() cleanup.Totals
	// Status says whether files are cleaned.
	Status() cleanup.Status
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
