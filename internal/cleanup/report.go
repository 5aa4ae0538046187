package cleanup

import "time"

// Report describes what one run of the cleanup did, or what a dry run would have done.
type Report struct {
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
	// Skipped counts what is not a regular file (symlinks, sockets, FIFOs, devices) and
	// subdirectories that were not cleaned.
	Skipped int `json:"skipped"`
	// Errors counts failures; the first few are among Entries.
	Errors int `json:"errors"`

	// Entries are what was deleted or is worth reporting, at most MaxReportEntries;
	// Truncated reports that there were more.
	Entries   []Entry `json:"entries"`
	Truncated bool    `json:"truncated"`
}

// MaxReportEntries bounds the entries of a report.
const MaxReportEntries = 1000

// Entry is a file or directory that a run deleted, could not handle, or kept for a
// reason worth reporting.
type Entry struct {
	// Path is relative to the directory, with slashes. Bytes that are not
	// UTF-8 are shown as \xNN.
	Path   string `json:"path"`
	Action Action `json:"action"`
	Reason Reason `json:"reason"`
	Bytes  int64  `json:"bytes"`
	// ModifiedAt is nil if it is not known.
	ModifiedAt *time.Time `json:"modifiedAt,omitempty"`
	// Detail describes an error, or what is in a directory that was skipped.
	Detail string `json:"detail,omitempty"`
}

// Action is what happened to an entry.
type Action string

// Reason is why an action was taken.
type Reason string

// Actions and reasons.
const (
	ActionDeleted Action = "deleted"
	ActionKept    Action = "kept"
	ActionSkipped Action = "skipped"
	ActionFailed  Action = "failed"

	// ReasonUnreferenced: no live session refers to it, and its grace period is over.
	ReasonUnreferenced Reason = "unreferenced"
	// ReasonTooOld: older than the files' own TTL, referenced or not.
	ReasonTooOld Reason = "too_old"
	// ReasonFutureTime: its modification time lies in the future.
	ReasonFutureTime Reason = "future_time"
	// ReasonClockSet: it would have been deleted, but the clock was set forward lately.
	ReasonClockSet Reason = "clock_set"
	// ReasonNotRegular: a symlink, socket, FIFO or device.
	ReasonNotRegular Reason = "not_regular"
	// ReasonEmptyDirectory: a subdirectory that was empty after the run.
	ReasonEmptyDirectory Reason = "empty_directory"
	// ReasonProject: a subdirectory that looks like a project.
	ReasonProject Reason = "project"
	// ReasonOtherDirectory: a subdirectory with a marker of its own.
	ReasonOtherDirectory Reason = "other_directory"
	// ReasonOwnFile: the service itself needs it.
	ReasonOwnFile Reason = "own_file"
	// ReasonError: see Detail.
	ReasonError Reason = "error"
)

// Status says whether files are cleaned.
type Status string

// The states of the directory at the last claim.
const (
	// Ready: it is cleaned.
	Ready Status = "ready"
	// OtherStore: it belongs to another store, and is not cleaned.
	OtherStore Status = "other_store"
	// Unavailable: it cannot be cleaned, or its owner is not known.
	Unavailable Status = "unavailable"
)

// Totals are sums over all runs that were not dry.
type Totals struct {
	Runs, Scanned, Deleted, BytesFreed, Errors int64
}
