package cleanup

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"session-api/internal/schema"
)

const (
	// maxFailures is the number of a report's entries that are reserved for failures.
	maxFailures = MaxReportEntries / 10
	// maxFailureLines is how many failures of a run are logged one by one.
	maxFailureLines = 20
)

// recorder collects the report of one run, and logs the run.
type recorder struct {
	report   Report
	failures []Entry
	logger   *slog.Logger
	logAttrs []slog.Attr
}

func newRecorder(logger *slog.Logger, report Report) *recorder {
	report.Entries = []Entry{}
	return &recorder{report: report, logger: logger}
}

// addLogAttrs adds attributes to the log line of the run.
func (r *recorder) addLogAttrs(attrs ...slog.Attr) { r.logAttrs = append(r.logAttrs, attrs...) }

func (r *recorder) kept() {
	r.report.Scanned++
	r.report.Kept++
}

func (r *recorder) keptFor(reason Reason, path string, info fs.FileInfo) {
	r.kept()
	if r.hasRoom() {
		r.add(newEntry(path, info, ActionKept, reason))
	}
}

func (r *recorder) skipped(path string, info fs.FileInfo) {
	r.report.Skipped++
	e := newEntry(path, info, ActionSkipped, ReasonNotRegular)
	e.Bytes = 0 // the length of a link's target is not disk space
	r.add(e)
}

// skippedFor reports a subdirectory that is skipped, and the entry in it that is the
// reason.
func (r *recorder) skippedFor(reason Reason, path string, info fs.FileInfo, shown string) {
	r.report.Skipped++
	e := newEntry(path, info, ActionSkipped, reason)
	e.Bytes = 0
	if shown != "" {
		e.Detail = "it holds a " + escapeName(shown)
	}
	r.add(e)
}

func (r *recorder) deleted(path string, info fs.FileInfo, reason Reason) {
	r.report.Scanned++
	r.report.Deleted++
	r.report.BytesFreed += info.Size()
	if r.hasRoom() {
		r.add(newEntry(path, info, ActionDeleted, reason))
	}
}

func (r *recorder) dirRemoved(path string, info fs.FileInfo) {
	r.report.DirsRemoved++
	e := newEntry(path, info, ActionDeleted, ReasonEmptyDirectory)
	e.Bytes = 0
	r.add(e)
}

// add adds an entry, if there is room.
func (r *recorder) add(e Entry) {
	if r.hasRoom() {
		r.report.Entries = append(r.report.Entries, e)
	}
}

// hasRoom reports whether the report takes another entry. Callers check it before they
// make the entry of a file, since a run may see a million files.
func (r *recorder) hasRoom() bool {
	if !r.isFull() {
		return true
	}
	r.report.Truncated = true
	return false
}

// isFull reports whether the report takes no more entries.
func (r *recorder) isFull() bool { return len(r.report.Entries) >= MaxReportEntries-maxFailures }

// failure is an operation of a run that failed.
type failure struct {
	// path is empty if the failure concerns the directory or the store.
	path string
	// file is set for a file that was scanned and is left over.
	file fs.FileInfo
	op   string
	err  error
	// fromStore keeps the error out of the report: it is the store's, for the log only.
	fromStore bool
}

func (r *recorder) failed(ctx context.Context, f failure) {
	if f.file != nil {
		r.report.Scanned++
	}
	r.report.Errors++
	why := withoutPath(f.err).Error()
	if r.report.Errors <= maxFailureLines {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "cleanup could not handle an entry",
			slog.String("path", escapeName(f.path)), slog.String("doing", f.op), slog.String("error", escapeName(why)))
	}
	if len(r.failures) == maxFailures {
		r.report.Truncated = true
		return
	}
	e := newEntry(f.path, f.file, ActionFailed, ReasonError)
	e.Detail = f.op + ": " + escapeName(why)
	if f.fromStore {
		e.Detail = f.op + ": the store failed"
	}
	r.failures = append(r.failures, e)
}

// finish completes the report and logs the run. err is the error that ended it, or nil.
func (r *recorder) finish(ctx context.Context, took time.Duration, err error) Report {
	r.report.DurationMs = max(took, 0).Milliseconds()
	r.report.Entries = append(r.report.Entries, r.failures...)
	slices.SortStableFunc(r.report.Entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })

	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("directory", r.report.Directory),
		slog.Bool("dryRun", r.report.DryRun),
		slog.Duration("duration", took),
		slog.Int("sessionsExpired", r.report.SessionsExpired),
		slog.Int("scanned", r.report.Scanned),
		slog.Int("kept", r.report.Kept),
		slog.Int("deleted", r.report.Deleted),
		slog.Int64("bytesFreed", r.report.BytesFreed),
		slog.Int("dirsRemoved", r.report.DirsRemoved),
		slog.Int("skipped", r.report.Skipped),
		slog.Int("errors", r.report.Errors),
	}
	attrs = append(attrs, r.logAttrs...)
	if err != nil {
		attrs = append(attrs, slog.String("error", escapeName(err.Error())))
	}
	if err != nil || r.report.Errors > 0 {
		level = slog.LevelWarn
	}
	r.logger.LogAttrs(ctx, level, "cleanup run", attrs...)
	return r.report
}

func newEntry(path string, info fs.FileInfo, action Action, reason Reason) Entry {
	e := Entry{Path: escapeName(path), Action: action, Reason: reason}
	if info != nil {
		e.Bytes = info.Size()
		e.ModifiedAt = modifiedAt(info.ModTime())
	}
	return e
}

// modifiedAt returns a file's time for the report, or nil if RFC 3339, which ends with
// the year 9999, cannot express it.
func modifiedAt(t time.Time) *time.Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	t = schema.Now(t)
	return &t
}

// escapeName returns a name as one line of printable text. Other characters, and the
// backslash, are escaped as in a Go string, so that different names look different.
func escapeName(name string) string {
	if !strings.ContainsFunc(name, needsEscape) {
		return name
	}
	out := make([]byte, 0, len(name)+16)
	for i, r := range name {
		if !needsEscape(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		// An invalid byte is escaped as the byte that it is.
		size := 1
		if r != utf8.RuneError || strings.HasPrefix(name[i:], string(utf8.RuneError)) {
			size = utf8.RuneLen(r)
		}
		quoted := strconv.Quote(name[i : i+size])
		out = append(out, quoted[1:len(quoted)-1]...)
	}
	return string(out)
}

// needsEscape reports whether a rune is escaped. That includes utf8.RuneError, which
// ranging over invalid UTF-8 yields.
func needsEscape(r rune) bool {
	return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
}
