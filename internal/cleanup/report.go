package cleanup

import "time"

// Report says what one run of the cleanup did, or in a dry run would
// have done.
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
	// Skipped counts what is no regular file: symlinks, sockets, FIFOs, devices;
	// and subdirectories that were not cleaned.
	Skipped int `json:"skipped"`
	// Errors counts failures; the first few are among Entries.
	Errors int `json:"errors"`

	// Entries says what went and why, at most MaxReportEntries of them;
	// Truncated says that there were more.
	Entries   []Entry `json:"entries"`
	Truncated bool    `json:"truncated"`
}

// MaxReportEntries bounds the entries of a report, so that a run over a million
// files stays small.
const MaxReportEntries = 1000

// Entry is one file or directory that a run deleted, could not handle,
// or kept for a reason worth reporting.
type Entry struct {
	// Path is relative to the directory, with slashes. Bytes that are not
	// UTF-8 are shown as \xNN.
	Path   string `json:"path"`
	Action Action `json:"action"`
	Reason Reason `json:"reason"`
	Bytes  int64  `json:"bytes"`
	// ModifiedAt is left out where it is not known.
	ModifiedAt *time.Time `json:"modifiedAt,omitempty"`
	// Detail is set for errors, and says what is in a directory that was skipped.
	Detail string `json:"detail,omitempty"`
}

// Action is what happened to an entry.
type Action string

// Reason is why it happened.
type Reason string

// What a run does to an entry, and why.
const (
	ActionDeleted Action = "deleted"
	ActionKept    Action = "kept"
	ActionSkipped Action = "skipped"
	ActionFailed  Action = "failed"

	// ReasonUnreferenced: no live session refers to it, and it is past the grace.
	ReasonUnreferenced Reason = "unreferenced"
	// ReasonTooOld: older than the files' own TTL, referenced or not.
	ReasonTooOld Reason = "too_old"
	// ReasonFutureTime: its modification time lies in the future.
	ReasonFutureTime Reason = "future_time"
	// ReasonClockSet: it would have gone, but the clock that makes it old was
	// put forward lately.
	ReasonClockSet Reason = "clock_set"
	// ReasonNotRegular: a symlink, socket, FIFO or device.
	ReasonNotRegular Reason = "not_regular"
	// ReasonEmptyDirectory: a subdirectory with nothing left in it.
	ReasonEmptyDirectory Reason = "empty_directory"
	// ReasonProject: a subdirectory that looks like somebody's project.
	ReasonProject Reason = "project"
	// ReasonOtherDirectory: a subdirectory that is itself one that is cleaned.
	ReasonOtherDirectory Reason = "other_directory"
	// ReasonOwnFile: the service itself needs it.
	ReasonOwnFile Reason = "own_file"
	// ReasonError: see Detail.
	ReasonError Reason = "error"
)

// Status says whether files are cleaned.
type Status string

// What the directory of files was at the last look.
const (
	// Ready: it is cleaned.
	Ready Status = "ready"
	// OtherStore: it belongs to another store, and is not cleaned.
	OtherStore Status = "other_store"
	// Unavailable: it cannot be cleaned, or whose it is cannot be told.
	Unavailable Status = "unavailable"
)

// Totals are sums over all runs that were not dry.
type Totals struct {
	Runs, Scanned, Deleted, BytesFreed, Errors int64
}
