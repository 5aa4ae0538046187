package api

import (
	"net/http"

	"session-api/internal/audit"
)

// runCleanup runs the cleanup now, or says what it would do.
func (s *Server) runCleanup(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := boolParameter(r, "dryRun", false)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := s.admitAct(); err != nil {
			return err
		}
	}
	limits := newDeadlines(w, r)
	report, err := s.Cleaner.Run(r.Context(), dryRun)
	limits.beforeWrite() // a run may have taken longer than an answer usually may
	if !dryRun {
		unrecorded := s.recordAct(r, audit.Cleanup, outcomeOf(err), cleanupDetails(&report))
		if err == nil {
			err = unrecorded
		}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, report)
}
