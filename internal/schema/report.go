package schema

import "time"

// CleanupReport says what one run of the cleanup did, or in a dry run would
// have done.
type CleanupReport struct {
	StartedAt  time.Time `json:"startedAt"`
	DurationMs int64     `json:"durationMs"`
	DryRun     bool      `json:"dryRun"`
	Directory  string    `json:"directory"`

	// SessionsExpired is the number of expired sessions that the sweep removed.
	SessionsExpired int `json:"sessionsExpired"`

	// Scanned counts regular files; Scanned = Kept + Deleted + those among
	// Errors.
	Scanned     int   `json:"scanned"`
	Kept        int   `json:"kept"`
	Deleted     int   `json:"deleted"`
	BytesFreed  int64 `json:"bytesFreed"`
	DirsRemoved int   `json:"dirsRemoved"`
	// Skipped counts what is no regular file: symlinks, sockets, FIFOs, devices;
	// and subdirectories that were not cleaned.
	Skipped int `json:"skipped"`
	// Errors counts failures; the first few are among Entries.
	Errors int `json:"errors"`

	// Entries says what went and why, at most MaxReportEntries of them;
	// Truncated says that there were more.
	Entries   []CleanupEntry `json:"entries"`
	Truncated bool           `json:"truncated"`
}

// MaxReportEntries bounds the entries of a report, so that a run over a million
// files stays small.
const MaxReportEntries = 1000

// CleanupEntry is one file or directory that a run deleted, could not handle,
// or kept for a reason worth reporting.
type CleanupEntry struct {
	// Path is relative to the directory, with slashes. Bytes that are not
	// UTF-8 are shown as \xNN.
	Path   string        `json:"path"`
	Action CleanupAction `json:"action"`
	Reason CleanupReason `json:"reason"`
	Bytes  int64         `json:"bytes"`
	// ModifiedAt is left out where it is not known.
	ModifiedAt *time.Time `json:"modifiedAt,omitempty"`
	// Detail is set for errors, and says what is in a directory that was skipped.
	Detail string `json:"detail,omitempty"`
}

// CleanupAction is what happened to an entry.
type CleanupAction string

// CleanupReason is why it happened.
type CleanupReason string

// What a run does to an entry, and why.
const (
	ActionDeleted CleanupAction = "deleted"
	ActionKept    CleanupAction = "kept"
	ActionSkipped CleanupAction = "skipped"
	ActionFailed  CleanupAction = "failed"

	// ReasonUnreferenced: no live session refers to it, and it is past the grace.
	ReasonUnreferenced CleanupReason = "unreferenced"
	// ReasonTooOld: older than the files' own TTL, referenced or not.
	ReasonTooOld CleanupReason = "too_old"
	// ReasonFutureTime: its modification time lies in the future.
	ReasonFutureTime CleanupReason = "future_time"
	// ReasonClockSet: it would have gone, but the clock that makes it old was
	// put forward lately.
	ReasonClockSet CleanupReason = "clock_set"
	// ReasonNotRegular: a symlink, socket, FIFO or device.
	ReasonNotRegular CleanupReason = "not_regular"
	// ReasonEmptyDirectory: a subdirectory with nothing left in it.
	ReasonEmptyDirectory CleanupReason = "empty_directory"
	// ReasonProject: a subdirectory that looks like somebody's project.
	ReasonProject CleanupReason = "project"
	// ReasonOtherDirectory: a subdirectory that is itself one that is cleaned.
	ReasonOtherDirectory CleanupReason = "other_directory"
	// ReasonOwnFile: the service itself needs it.
	ReasonOwnFile CleanupReason = "own_file"
	// ReasonError: see Detail.
	ReasonError CleanupReason = "error"
)

// CleanupStatus says whether files are cleaned.
type CleanupStatus string

// What the directory of files was at the last look.
const (
	// CleanupReady: it is cleaned.
	CleanupReady CleanupStatus = "ready"
	// CleanupOtherStore: it belongs to another store, and is not cleaned.
	CleanupOtherStore CleanupStatus = "other_store"
	// CleanupUnavailable: it cannot be cleaned, or whose it is cannot be told.
	CleanupUnavailable CleanupStatus = "unavailable"
)

// CleanupTotals are sums over all runs that were not dry.
type CleanupTotals struct {
	Runs, Scanned, Deleted, BytesFreed, Errors int64
}
