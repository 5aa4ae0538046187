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
	// maxFailures is how many of a report's entries are kept free for failures,
	// however much else there is to tell.
	maxFailures = MaxReportEntries / 10
	// maxFailureLines is how many failures of a run are logged one by one.
	maxFailureLines = 20
)

// recorder writes the report of one run, and its lines in the log.
type recorder struct {
	report   Report
	failures []Entry
	logger   *slog.Logger
	notes    []slog.Attr
}

func newRecorder(logger *slog.Logger, report Report) *recorder {
	report.Entries = []Entry{}
	return &recorder{report: report, logger: logger}
}

// note adds to the line that the run leaves in the log.
func (r *recorder) note(attrs ...slog.Attr) { r.notes = append(r.notes, attrs...) }

func (r *recorder) kept() {
	r.report.Scanned++
	r.report.Kept++
}

func (r *recorder) keptFor(reason Reason, path string, info fs.FileInfo) {
	r.kept()
	if r.hasRoom() {
		r.add(entry(path, info, ActionKept, reason))
	}
}

func (r *recorder) skipped(path string, info fs.FileInfo) {
	r.report.Skipped++
	e := entry(path, info, ActionSkipped, ReasonNotRegular)
	e.Bytes = 0 // the length of a link's target is nobody's disk space
	r.add(e)
}

// skippedFor reports a subdirectory that is left alone, and the entry in it that
// shows why.
func (r *recorder) skippedFor(reason Reason, path string, info fs.FileInfo, shown string) {
	r.report.Skipped++
	e := entry(path, info, ActionSkipped, reason)
	e.Bytes = 0
	if shown != "" {
		e.Detail = "it holds a " + escape(shown)
	}
	r.add(e)
}

func (r *recorder) deleted(path string, info fs.FileInfo, reason Reason) {
	r.report.Scanned++
	r.report.Deleted++
	r.report.BytesFreed += info.Size()
	if r.hasRoom() {
		r.add(entry(path, info, ActionDeleted, reason))
	}
}

func (r *recorder) dirRemoved(path string, info fs.FileInfo) {
	r.report.DirsRemoved++
	e := entry(path, info, ActionDeleted, ReasonEmptyDirectory)
	e.Bytes = 0
	r.add(e)
}

// add adds an entry, if there is room.
func (r *recorder) add(e Entry) {
	if r.hasRoom() {
		r.report.Entries = append(r.report.Entries, e)
	}
}

// hasRoom reports whether the report takes another entry. It is asked before the
// entry of a file is made: of a million there is room for few.
func (r *recorder) hasRoom() bool {
	if !r.isFull() {
		return true
	}
	r.report.Truncated = true
	return false
}

// isFull reports whether another entry would have no room.
func (r *recorder) isFull() bool { return len(r.report.Entries) >= MaxReportEntries-maxFailures }

// failure is something that a run could not do.
type failure struct {
	// path is empty where it is about the directory or the store.
	path string
	// file is set where a file that was scanned is left over.
	file  fs.FileInfo
	doing string
	err   error
	// store: the error is the store's own, for the log and not for the report.
	store bool
}

func (r *recorder) failed(ctx context.Context, f failure) {
	if f.file != nil {
		r.report.Scanned++
	}
	r.report.Errors++
	why := cause(f.err).Error()
	if r.report.Errors <= maxFailureLines {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "cleanup could not handle an entry",
			slog.String("path", escape(f.path)), slog.String("doing", f.doing), slog.String("error", escape(why)))
	}
	if len(r.failures) == maxFailures {
		r.report.Truncated = true
		return
	}
	e := entry(f.path, f.file, ActionFailed, ReasonError)
	e.Detail = f.doing + ": " + escape(why)
	if f.store {
		e.Detail = f.doing + ": the store failed"
	}
	r.failures = append(r.failures, e)
}

// finish completes the report and logs the run. err is what ended it, or nil.
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
	attrs = append(attrs, r.notes...)
	if err != nil {
		attrs = append(attrs, slog.String("error", escape(err.Error())))
	}
	if err != nil || r.report.Errors > 0 {
		level = slog.LevelWarn
	}
	r.logger.LogAttrs(ctx, level, "cleanup run", attrs...)
	return r.report
}

func entry(path string, info fs.FileInfo, action Action, reason Reason) Entry {
	e := Entry{Path: escape(path), Action: action, Reason: reason}
	if info != nil {
		e.Bytes = info.Size()
		e.ModifiedAt = modifiedAt(info.ModTime())
	}
	return e
}

// modifiedAt is a file's time as the report can say it, or nil: RFC 3339 ends
// with the year 9999, which file systems do not.
func modifiedAt(t time.Time) *time.Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	t = schema.Now(t)
	return &t
}

// escape shows a name in one line of printable text. What is not printable is
// written as in a Go string, and so is the backslash, so that no two names look
// the same.
func escape(name string) string {
	if !strings.ContainsFunc(name, special) {
		return name
	}
	out := make([]byte, 0, len(name)+16)
	for i, r := range name {
		if !special(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		// Of a byte that is not UTF-8 only the byte itself tells which it was.
		size := 1
		if r != utf8.RuneError || strings.HasPrefix(name[i:], string(utf8.RuneError)) {
			size = utf8.RuneLen(r)
		}
		quoted := strconv.Quote(name[i : i+size])
		out = append(out, quoted[1:len(quoted)-1]...)
	}
	return string(out)
}

// special reports whether a rune is not shown as it is. utf8.RuneError, which
// ranging over bytes that are not UTF-8 gives, is among them.
func special(r rune) bool {
	return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
}
