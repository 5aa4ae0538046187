package api

import "net/http"

// runCleanup runs the cleanup now, or says what it would do.
func (s *Server) runCleanup(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := boolParameter(r, "dryRun", false)
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
