package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

var errStore = errors.New("dial 10.1.2.3: refused")

// Where the references are not known, nothing is deleted, not even what is too
// old; the sweep's result remains.
func TestReferencesUnknown(t *testing.T) {
	for name, files := range map[string]func(ctx context.Context, yield func(string) error) error{
		"at once": func(context.Context, func(string) error) error { return errStore },
		"midway": func(_ context.Context, yield func(string) error) error {
			return errors.Join(yield("one"), yield("two"), errStore)
		},
		"by a panic": func(context.Context, func(string) error) error { panic(errStore) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "unreferenced", old)
			write(t, dir, "aged", aged)
			mkdir(t, dir, "empty", old)
			before := tree(t, dir)

			s := referring()
			s.files = files
			s.sweep = func(context.Context) (int, error) { return 5, nil }
			j := newJob(t, dir, s)
			report, err := j.Run(t.Context(), false)

			require.Error(t, err)
			assert.Equal(t, before, tree(t, dir))
			assert.Equal(t, 5, report.SessionsExpired)
			assert.Zero(t, report.Deleted)
			assert.Equal(t, 1, report.Errors)
			entry := only(t, report, "")
			assert.Equal(t, cleanup.ActionFailed, entry.Action)
			assert.NotContains(t, entry.Detail, "10.1.2.3", "the report is for callers")

			// The next run is as any other.
			s.files = nil
			report, err = j.Run(t.Context(), false)
			require.NoError(t, err)
			assert.Equal(t, 2, report.Deleted)
		})
	}
}

func TestSweepFails(t *testing.T) {
	dir, s := t.TempDir(), referring()
	write(t, dir, "file", old)
	s.sweep = func(context.Context) (int, error) { return 2, errStore }
	report, err := newJob(t, dir, s).Run(t.Context(), false)

	require.ErrorIs(t, err, errStore)
	assert.Equal(t, 1, report.Deleted, "the files do not depend on the sweep")
	assert.Equal(t, 2, report.SessionsExpired)
	assert.Equal(t, 1, report.Errors)
}

// A store that cannot say whether a file is referenced by now ends the run.
func TestLookUpFails(t *testing.T) {
	for name, fail := range map[string]func() (bool, error){
		"with an error": func() (bool, error) { return false, errStore },
		"with a panic":  func() (bool, error) { panic(errStore) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), referring()
			for i := range 10 {
				write(t, dir, fmt.Sprintf("file-%d", i), old)
			}
			asked := 0
			s.hasFile = func([]string) (bool, error) {
				if asked++; asked > 3 {
					return fail()
				}
				return false, nil
			}
			j := newJob(t, dir, s)
			report, err := j.Run(t.Context(), false)

			require.Error(t, err)
			assert.Equal(t, 4, asked)
			assert.Equal(t, 3, report.Deleted)
			assert.Equal(t, 1, report.Errors)
			assert.Len(t, tree(t, dir), 1+7)

			s.hasFile = nil
			report, err = j.Run(t.Context(), false)
			require.NoError(t, err)
			assert.Equal(t, 7, report.Deleted)
		})
	}
}

func TestSweepPanics(t *testing.T) {
	dir, s := t.TempDir(), referring()
	path := write(t, dir, "file", old)
	s.sweep = func(context.Context) (int, error) { panic("out of order") }
	report, err := newJob(t, dir, s).Run(t.Context(), false)
	require.ErrorContains(t, err, "out of order")
	assert.Equal(t, 1, report.Errors)
	assert.FileExists(t, path)
}

func TestCancelledMidway(t *testing.T) {
	dir, s := t.TempDir(), referring()
	for i := range 20 {
		write(t, dir, fmt.Sprintf("sub-%d/file", i), old)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	asked := 0
	s.hasFile = func([]string) (bool, error) {
		if asked++; asked == 5 {
			cancel()
		}
		return false, nil
	}
	j := newJob(t, dir, s)
	report, err := j.Run(ctx, false)

	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 5, asked)
	assert.Equal(t, 4, report.Deleted)
	assert.Zero(t, report.Errors, "to be told to stop is no failure")
	last, ran := j.Last()
	assert.True(t, ran)
	assert.Equal(t, report, last)
}

// Cancelled while the references are read, a run has not read them all.
func TestCancelledWhileReading(t *testing.T) {
	dir, s := t.TempDir(), referring()
	path := write(t, dir, "file", aged)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	yielded := 0
	s.files = func(_ context.Context, yield func(string) error) error {
		for {
			yielded++
			if yielded == 3 {
				cancel()
			}
			if err := yield("another"); err != nil {
				return err
			}
		}
	}
	_, err := newJob(t, dir, s).Run(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 3, yielded)
	assert.FileExists(t, path)
}

// A store may see the end of ctx and call it a success.
func TestCancelledUnnoticedByTheStore(t *testing.T) {
	dir, s := t.TempDir(), referring()
	path := write(t, dir, "file", aged)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s.files = func(context.Context, func(string) error) error { cancel(); return nil }
	_, err := newJob(t, dir, s).Run(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
	assert.FileExists(t, path)
}

func TestDirectoryVanishes(t *testing.T) {
	dir := mkdir(t, t.TempDir(), "files", 0)
	s := referring()
	s.sweep = func(context.Context) (int, error) { return 4, nil }
	j := newJob(t, dir, s)
	away := dir + ".away"
	require.NoError(t, os.Rename(dir, away))

	for _, dry := range []bool{true, false} {
		report, err := j.Run(t.Context(), dry)
		require.ErrorIs(t, err, cleanup.ErrDirectory)
		assert.Equal(t, 1, report.Errors)
		assert.Contains(t, only(t, report, "").Detail, "no such file")
		assert.NoDirExists(t, dir, "it may be a volume that is not mounted")
	}
	last, ran := j.Last()
	assert.True(t, ran)
	assert.Equal(t, 4, last.SessionsExpired)
	assert.Equal(t, cleanup.Unavailable, j.Status())

	// Another directory in its place is not meant.
	other := write(t, dir, "file", old)
	_, err := j.Run(t.Context(), false)
	require.ErrorIs(t, err, cleanup.ErrDirectory)
	assert.ErrorContains(t, err, "is not the directory that was there at the start")
	assert.FileExists(t, other)
	require.NoError(t, os.RemoveAll(dir))

	require.NoError(t, os.Rename(away, dir))
	write(t, dir, "file", old)
	report, err := j.Run(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Deleted)
	assert.Equal(t, cleanup.Ready, j.Status())
}

// What was harmless at the start may not be so at a later run.
func TestDirectoryBecomesDangerous(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir, elsewhere string){
		"source code": func(t *testing.T, dir, _ string) { mkdir(t, dir, ".git", 0) },
		"a symbolic link": func(t *testing.T, dir, elsewhere string) {
			require.NoError(t, os.Rename(dir, dir+".old"))
			require.NoError(t, os.Symlink(elsewhere, dir))
		},
		"a file": func(t *testing.T, dir, _ string) {
			require.NoError(t, os.Rename(dir, dir+".old"))
			write(t, filepath.Dir(dir), filepath.Base(dir), aged)
		},
		"moved under a symbolic link to somebody's work": func(t *testing.T, dir, elsewhere string) {
			parent := filepath.Dir(dir)
			work := mkdir(t, elsewhere, filepath.Base(dir), 0)
			write(t, work, "go.mod", aged)
			require.NoError(t, os.Rename(parent, parent+".old"))
			require.NoError(t, os.Symlink(elsewhere, parent))
		},
		"moved under a symbolic link to where the home directory is": func(t *testing.T, dir, elsewhere string) {
			parent := filepath.Dir(dir)
			t.Setenv("HOME", mkdir(t, elsewhere, filepath.Base(dir)+"/home", 0))
			require.NoError(t, os.Rename(parent, parent+".old"))
			require.NoError(t, os.Symlink(elsewhere, parent))
		},
	} {
		t.Run(name, func(t *testing.T) {
			top, elsewhere := t.TempDir(), t.TempDir()
			dir := mkdir(t, top, "parent/files", 0)
			write(t, dir, "file", aged)
			write(t, elsewhere, "file", aged)
			j := newJob(t, dir, referring())
			change(t, dir, elsewhere)
			before, there := tree(t, top), tree(t, elsewhere)

			report, err := j.Run(t.Context(), false)
			require.ErrorIs(t, err, cleanup.ErrDirectory)
			assert.Equal(t, 1, report.Errors)
			assert.Zero(t, report.Deleted)
			assert.Equal(t, before, tree(t, top))
			assert.Equal(t, there, tree(t, elsewhere))
		})
	}
}

// Two instances on one volume: each file is deleted by one of them, and to come
// second is no failure.
func TestTwoJobsOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	const dirs, files = 20, 50
	for i := range dirs {
		for k := range files {
			write(t, dir, fmt.Sprintf("sub-%d/deep/file-%d", i, k), old)
		}
		write(t, dir, fmt.Sprintf("sub-%d/referenced-%d", i, i), old)
		mkdir(t, dir, fmt.Sprintf("sub-%d/deep", i), old)
	}
	s := referring()
	for i := range dirs {
		s.refs[fmt.Sprintf("sub-%d/referenced-%d", i, i)] = true
	}

	// Both have seen all there is before either deletes.
	var ready sync.WaitGroup
	ready.Add(2)
	reports := make([]cleanup.Report, 2)
	var done sync.WaitGroup
	for i := range reports {
		each := &store{refs: s.refs}
		var once sync.Once
		each.hasFile = func(paths []string) (bool, error) {
			once.Do(func() { ready.Done(); ready.Wait() })
			return s.HasFile(t.Context(), time.Time{}, paths...)
		}
		j := newJob(t, dir, each)
		done.Go(func() {
			var err error
			reports[i], err = j.Run(t.Context(), false)
			assert.NoError(t, err)
		})
	}
	done.Wait()

	assert.Equal(t, dirs*files, reports[0].Deleted+reports[1].Deleted)
	assert.Equal(t, int64(dirs*files*len("content")), reports[0].BytesFreed+reports[1].BytesFreed)
	assert.Equal(t, dirs, reports[0].DirsRemoved+reports[1].DirsRemoved)
	for _, r := range reports {
		assert.Zero(t, r.Errors, "%+v", r.Entries)
		assert.Equal(t, dirs, r.Kept)
	}
	assert.Len(t, tree(t, dir), 1+2*dirs)
}
