package api

import (
	"net/http"

	"session-api/internal/audit"
	"session-api/internal/transfer"
)

var (
	errNoBackup = &problem{codeBackupUnsupported, "The store is shared with other instances, and Redis has backups of its own. To export sessions, use GET /api/export."}
	errBackupOn = &problem{codeBackupRunning, "Another backup is in progress. Try again when it is done."}
)

// backUp sends all sessions as they are at one moment, with a checksum at the end.
// One backup is sent at a time: what has changed since its moment stays in memory
// until it is sent. What fails once the first byte is sent cuts the connection, as
// an export does.
func (s *Server) backUp(w http.ResponseWriter, r *http.Request) error {
	if !s.Sessions.Snapshots() {
		return errNoBackup
	}
	work := transfer.Backup{From: s.Sessions, Version: s.Version, Now: s.Now, Rate: s.BackupRate}
	w.Header()["Content-Type"] = recordTypes[:1]
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if !s.backingUp.TryLock() {
		delete(w.Header(), "Content-Type")
		return errBackupOn
	}
	defer s.backingUp.Unlock()
	if err := s.beginTransfer(r, audit.Backup, nil); err != nil {
		delete(w.Header(), "Content-Type")
		return err
	}
	out := newDeadlines(w, r)
	defer out.beforeWrite() // net/http ends the answer
	ctx, stop := s.whileAllowed(r, out)
	defer stop()
	err := work.Run(ctx, out)
	s.endTransfer(r, audit.Backup, err, map[string]any{"sessions": work.Sessions()})
	log := s.Logger.With("sessions", work.Sessions(), "requestId", w.Header().Get(headerRequestID))
	if err != nil {
		log.WarnContext(r.Context(), "backup cut off", "error", err)
		panic(http.ErrAbortHandler)
	}
	log.InfoContext(r.Context(), "backup sent")
	return nil
}
