package cleanup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

func TestWhichFilesGo(t *testing.T) {
	for _, tt := range []struct {
		name       string
		age        time.Duration
		referenced bool
		goes       bool
		reason     cleanup.Reason
	}{
		{name: "fresh", age: fresh},
		{name: "fresh and referenced", age: fresh, referenced: true},
		{name: "just within the grace", age: grace - 5*time.Second},
		{name: "past the grace", age: grace + 5*time.Second, goes: true, reason: cleanup.ReasonUnreferenced},
		{name: "past the grace and referenced", age: grace + 5*time.Second, referenced: true},
		{name: "just within the TTL and referenced", age: ttl - 5*time.Second, referenced: true},
		{name: "past the TTL", age: ttl + 5*time.Second, goes: true, reason: cleanup.ReasonTooOld},
		{name: "past the TTL and referenced", age: ttl + 5*time.Second, referenced: true, goes: true, reason: cleanup.ReasonTooOld},
		{name: "ahead by what clocks differ", age: -time.Second},
		{name: "in the future", age: -time.Hour, reason: cleanup.ReasonFutureTime},
		{name: "in the future and referenced", age: -time.Hour, referenced: true, reason: cleanup.ReasonFutureTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, s := t.TempDir(), referring()
			path := write(t, dir, "file", tt.age)
			if tt.referenced {
				s.refs["file"] = true
			}
			report := clean(t, dir, s)

			assert.Equal(t, 1, report.Scanned)
			if tt.goes {
				assert.NoFileExists(t, path)
				assert.Equal(t, 1, report.Deleted)
				assert.Equal(t, int64(len("content")), report.BytesFreed)
				assert.Equal(t, cleanup.ActionDeleted, only(t, report, "file").Action)
			} else {
				assert.FileExists(t, path)
				assert.Equal(t, 1, report.Kept)
			}
			if tt.reason == "" {
				assert.Empty(t, report.Entries)
			} else {
				assert.Equal(t, tt.reason, only(t, report, "file").Reason)
			}
		})
	}
}

// A file that is exactly as old as the limit is not older.
func TestLimitsThemselvesKeep(t *testing.T) {
	dir, s := t.TempDir(), referring("aged")
	info, err := os.Stat(write(t, dir, "file", 0))
	require.NoError(t, err)
	mtime := info.ModTime()
	require.NoError(t, os.Chtimes(write(t, dir, "aged", 0), mtime, mtime.Add(grace-ttl)))

	for _, tt := range []struct {
		past    time.Duration
		deleted int
	}{{0, 0}, {time.Nanosecond, 2}} {
		o := options(dir, s)
		o.Now = func() time.Time { return mtime.Add(grace + tt.past) }
		report, err := newJobOf(t, o).Run(t.Context(), false)
		require.NoError(t, err)
		assert.Equal(t, tt.deleted, report.Deleted)
	}
}

func TestReferenceSpellings(t *testing.T) {
	parent := t.TempDir()
	dir := mkdir(t, parent, "files", old)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(parent, link))
	configured := filepath.Join(link, "files")

	for ref, keeps := range map[string]bool{
		"sub/file":                          true,
		"./sub/file":                        true,
		"sub//file":                         true,
		"sub/other/../file":                 true,
		configured + "/sub/file":            true,
		configured + "/./sub/file":          true,
		dir + "/sub/file":                   true,
		"/elsewhere/.." + dir + "/sub/file": true,
		"":                                  false,
		"/":                                 false,
		".":                                 false,
		"..":                                false,
		"file":                              false,
		"sub":                               true,
		"./sub/":                            true,
		configured + "/sub":                 true,
		configured:                          true,
		dir + "/":                           true,
		"su":                                false,
		"SUB/FILE":                          false,
		"../files/sub/file":                 false,
		"sub/../../files/sub/file":          false,
		"/sub/file":                         false,
		dir + "x/sub/file":                  false,
		dir + "/../sub/file":                false,
		parent:                              false,
		parent + "/sub/file":                false,
		"sub/file\x00":                      false,
		"sub\\file":                         false,
		"file://" + dir + "/sub/file":       false,
		strings.Repeat("../", 5000) + "x":   false,
		strings.Repeat("a/", 5000) + "x":    false,
		strings.TrimPrefix(dir, "/") + "/sub/file":     false,
		filepath.Base(parent) + "/files/sub/file":      false,
		"sub/file/../../../" + filepath.Base(dir) + "": false,
	} {
		t.Run(cleanup.Escape(ref[:min(len(ref), 60)]), func(t *testing.T) {
			path := write(t, dir, "sub/file", old)
			report := clean(t, configured, referring(ref))
			if keeps {
				assert.FileExists(t, path)
				assert.Equal(t, 1, report.Kept)
			} else {
				assert.NoFileExists(t, path)
				assert.Equal(t, 1, report.Deleted)
			}
		})
	}
}

// The look just before the delete must find what a client wrote meanwhile, in
// each plain way to write it.
func TestReferenceArrivesBeforeTheDelete(t *testing.T) {
	parent := t.TempDir()
	dir := mkdir(t, parent, "files", old)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(parent, link))
	configured := filepath.Join(link, "files")

	for _, ref := range []string{"sub/file", configured + "/sub/file", dir + "/sub/file"} {
		path := write(t, dir, "sub/file", old)
		s := referring()
		asked := 0
		s.hasFile = func(paths []string) (bool, error) {
			asked++
			assert.Contains(t, paths, ref)
			return true, nil
		}
		report := clean(t, configured, s)
		assert.Equal(t, 1, asked)
		assert.FileExists(t, path)
		assert.Equal(t, 1, report.Kept)
		assert.Empty(t, report.Entries)
	}
}

func TestEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "emptied/deep/file", old)
	mkdir(t, dir, "emptied/deep", old)
	mkdir(t, dir, "emptied", old)
	mkdir(t, dir, "empty/deeper", old)
	mkdir(t, dir, "empty", old)
	mkdir(t, dir, "just-made", fresh)
	mkdir(t, dir, "ahead", -old)
	write(t, dir, "just-emptied/file", old)
	mkdir(t, dir, "just-emptied", fresh)
	mkdir(t, dir, "holder/just-made", fresh)
	mkdir(t, dir, "holder", old)
	write(t, dir, "used/file", fresh)
	mkdir(t, dir, "used", old)
	setAge(t, dir, old)

	report := clean(t, dir, referring())

	for _, gone := range []string{"emptied", "empty"} {
		assert.NoDirExists(t, filepath.Join(dir, gone))
	}
	for _, stays := range []string{"just-made", "ahead", "just-emptied", "holder/just-made", "used", ""} {
		assert.DirExists(t, filepath.Join(dir, stays))
	}
	assert.Equal(t, 4, report.DirsRemoved)
	entry := only(t, report, "emptied/deep")
	assert.Equal(t, cleanup.ActionDeleted, entry.Action)
	assert.Equal(t, cleanup.ReasonEmptyDirectory, entry.Reason)
	assert.Zero(t, entry.Bytes)
}

// The directory itself stays, however old and empty.
func TestTheDirectoryItselfStays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", aged)
	setAge(t, dir, aged)
	assert.Equal(t, 1, clean(t, dir, referring()).Deleted)
	setAge(t, dir, aged)
	assert.Zero(t, clean(t, dir, referring()).DirsRemoved)
	assert.DirExists(t, dir)
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/unreferenced", old)
	write(t, dir, "a/referenced", old)
	write(t, dir, "b/aged", aged)
	mkdir(t, dir, "b", old)
	write(t, dir, "ahead", -old)
	require.NoError(t, os.Symlink("ahead", filepath.Join(dir, "link")))

	s := referring("a/referenced")
	s.sweep = func(context.Context) (int, error) { return 3, nil }
	o := options(dir, s)
	ticks := time.Now()
	o.Now = func() time.Time { ticks = ticks.Add(time.Millisecond); return ticks }
	report, err := newJobOf(t, o).Run(t.Context(), false)
	require.NoError(t, err)

	assert.Equal(t, dir, report.Directory)
	assert.False(t, report.DryRun)
	assert.Equal(t, time.UTC, report.StartedAt.Location())
	assert.Positive(t, report.DurationMs)
	assert.Equal(t, 3, report.SessionsExpired)
	assert.Equal(t, 4, report.Scanned)
	assert.Equal(t, 2, report.Kept)
	assert.Equal(t, 2, report.Deleted)
	assert.Equal(t, int64(14), report.BytesFreed)
	assert.Equal(t, 1, report.DirsRemoved)
	assert.Equal(t, 1, report.Skipped)
	assert.Zero(t, report.Errors)
	assert.False(t, report.Truncated)

	var told []string
	for _, e := range report.Entries {
		told = append(told, fmt.Sprintf("%s %s %s %d", e.Path, e.Action, e.Reason, e.Bytes))
		assert.NotNil(t, e.ModifiedAt)
	}
	assert.Equal(t, []string{
		"a/unreferenced deleted unreferenced 7",
		"ahead kept future_time 7",
		"b deleted empty_directory 0",
		"b/aged deleted too_old 7",
		"link skipped not_regular 0",
	}, told)
}

// A report is bounded, counts all the same, and still has the failures.
func TestReportIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range cleanup.MaxReportEntries + 1 {
		write(t, dir, fmt.Sprintf("file-%04d", i), old)
	}
	deep := strings.Repeat("d/", cleanup.MaxDepth+1)
	write(t, dir, deep+"file", old)

	report := clean(t, dir, referring())
	assert.Equal(t, cleanup.MaxReportEntries+1, report.Deleted)
	assert.True(t, report.Truncated)
	assert.LessOrEqual(t, len(report.Entries), cleanup.MaxReportEntries)
	assert.Equal(t, 1, report.Errors)
	assert.Equal(t, cleanup.ActionFailed, only(t, report, strings.TrimSuffix(deep, "/")).Action)
}

func TestDepthIsBounded(t *testing.T) {
	dir := t.TempDir()
	shallow := strings.Repeat("d/", cleanup.MaxDepth)
	deep := shallow + "d/"
	write(t, dir, shallow+"file", old)
	write(t, dir, deep+"file", old)

	report := clean(t, dir, referring())
	assert.NoFileExists(t, filepath.Join(dir, shallow, "file"))
	assert.FileExists(t, filepath.Join(dir, deep, "file"))
	assert.Equal(t, 1, report.Errors)
	assert.Contains(t, only(t, report, strings.TrimSuffix(deep, "/")).Detail, "too deep")
}

func TestNoEntriesIsAnEmptyList(t *testing.T) {
	body, err := json.Marshal(clean(t, t.TempDir(), referring()))
	require.NoError(t, err)
	assert.Contains(t, string(body), `"entries":[]`)
}

func TestDryRunChangesNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/b/unreferenced", old)
	write(t, dir, "a/aged", aged)
	write(t, dir, "a/referenced", old)
	write(t, dir, "kept", old)
	write(t, dir, "ahead", -old)
	mkdir(t, dir, "a/b", old)
	mkdir(t, dir, "a", old)
	mkdir(t, dir, "empty/deeper", old)
	mkdir(t, dir, "empty", old)

	s := referring("a/referenced", "kept")
	swept := false
	s.sweep = func(context.Context) (int, error) { swept = true; return 1, nil }
	j := newJob(t, dir, s)

	before := tree(t, dir)
	dry, err := j.Run(t.Context(), true)
	require.NoError(t, err)
	assert.Equal(t, before, tree(t, dir))
	assert.True(t, dry.DryRun)
	assert.False(t, swept)
	assert.Zero(t, dry.SessionsExpired)
	_, ran := j.Last()
	assert.False(t, ran, "a dry run is not a last run")
	assert.Zero(t, j.Totals())

	// It says what a run then does.
	wet, err := j.Run(t.Context(), false)
	require.NoError(t, err)
	assert.True(t, swept)
	assert.NotEqual(t, before, tree(t, dir))
	wet.DryRun, wet.SessionsExpired = true, 0
	assert.Equal(t, dry, wet)
	assert.Equal(t, 2, dry.Deleted)
	assert.Equal(t, 3, dry.DirsRemoved)
}

// tree lists all that is in a directory, with modification times.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.Name() == cleanup.MarkerName:
			return nil
		case path == dir: // its time tells only that a marker was written
			found[""] = ""
			return nil
		}
		info, err := d.Info()
		found[strings.TrimPrefix(path, dir)] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		return err
	}))
	return found
}
