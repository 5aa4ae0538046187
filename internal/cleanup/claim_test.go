package cleanup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// of gives options a store; an empty id is that of one whose sessions end with
// it.
func of(o cleanup.Options, kind, id string) cleanup.Options {
	o.AllowNonEmpty, o.StoreKind = false, kind
	o.Identity = func(context.Context) (string, error) { return id, nil }
	return o
}

// job is a job of a store. It is closed with the test, or before.
func job(t *testing.T, dir, kind, id string) *cleanup.Job {
	t.Helper()
	j := newJobOf(t, of(options(dir, referring()), kind, id))
	t.Cleanup(func() { assert.NoError(t, j.Close()) })
	return j
}

// ran is what became of a file that nobody refers to, and of the run.
func ran(t *testing.T, j *cleanup.Job, dir string) error {
	t.Helper()
	path := write(t, dir, "file", old)
	_, dry := j.Run(t.Context(), true)
	report, err := j.Run(t.Context(), false)
	assert.Equal(t, err == nil, dry == nil)
	if err == nil {
		assert.NoFileExists(t, path)
		assert.Equal(t, cleanup.Ready, j.Status())
		return nil
	}
	assert.FileExists(t, path)
	assert.Zero(t, report.Deleted)
	assert.Equal(t, 1, report.Errors)
	want := cleanup.Unavailable
	if errors.Is(err, cleanup.ErrOtherStore) {
		want = cleanup.OtherStore
	}
	assert.Equal(t, want, j.Status())
	return err
}

// A directory that may hold what is not ours is refused, with the way out.
func TestDirectoryThatIsNotOurs(t *testing.T) {
	for name, content := range map[string]string{"a file": "file", "a hidden one": ".file", "a directory": "sub/file"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "it's mine")
			path := write(t, dir, content, 1000*ttl)
			o := of(options(dir, referring()), "bolt", "ONE")
			err := o.Validate()
			require.Equal(t, []string{"Dir"}, wrongOptions(err))
			assert.ErrorContains(t, err, `session-api cleanup adopt '`)
			assert.ErrorContains(t, err, `it'\''s mine'`)
			assert.FileExists(t, path)

			require.NoError(t, cleanup.Adopt(dir, "bolt", "ONE", nil))
			require.NoError(t, o.Validate())
			require.NoError(t, ran(t, newJobOf(t, o), dir))
		})
	}
	t.Run("nothing but what the file system has there", func(t *testing.T) {
		dir := t.TempDir()
		mkdir(t, dir, "lost+found", fresh)
		require.NoError(t, ran(t, job(t, dir, "bolt", "ONE"), dir))
	})
	t.Run("the known one", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "of a worker", fresh)
		o := of(options(dir, referring()), "bolt", "ONE")
		o.AllowNonEmpty = true
		require.NoError(t, ran(t, newJobOf(t, o), dir))
	})
	t.Run("found empty, and filled before its store can be asked", func(t *testing.T) {
		dir := t.TempDir()
		newJobOf(t, of(options(dir, referring()), "redis", "ONE"))
		write(t, dir, "of a worker", fresh)
		require.NoError(t, ran(t, job(t, dir, "redis", "TWO"), dir), "by another start")
	})
}

// What stands at the path in place of a marker opens nothing.
func TestMarkerThatIsNone(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"a directory":     func(t *testing.T, path string) { mkdir(t, path, "sub", old) },
		"a symbolic link": func(t *testing.T, path string) { require.NoError(t, os.Symlink("file", path)) },
		"other text":      func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600)) },
		"other JSON":      func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600)) },
		"nothing":         func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			make(t, filepath.Join(dir, cleanup.MarkerName))
			require.ErrorIs(t, ran(t, job(t, dir, "bolt", "ONE"), dir), cleanup.ErrDirectory)
		})
	}
}

// A store's directory is that of all that share it, over restarts, and nobody
// else's until somebody says so.
func TestEachDirectoryHasItsStore(t *testing.T) {
	dir := t.TempDir()
	first := job(t, dir, "redis", "ONE")
	require.NoError(t, ran(t, first, dir))
	require.NoError(t, ran(t, job(t, dir, "redis", "ONE"), dir))
	for _, other := range [][2]string{{"redis", "TWO"}, {"bolt", "ONE"}, {"memory", ""}} {
		err := ran(t, job(t, dir, other[0], other[1]), dir)
		require.ErrorIs(t, err, cleanup.ErrOtherStore, other)
		assert.ErrorContains(t, err, "session-api cleanup adopt "+dir)
	}
	require.NoError(t, ran(t, first, dir))

	other := job(t, dir, "bolt", "TWO")
	require.ErrorIs(t, ran(t, other, dir), cleanup.ErrOtherStore)
	require.NoError(t, cleanup.Adopt(dir, "bolt", "TWO", nil))
	require.NoError(t, ran(t, other, dir))
	require.ErrorIs(t, ran(t, first, dir), cleanup.ErrOtherStore)
}

// Sessions in memory end with their process: the next one has the directory at
// once, and no two have it at a time.
func TestDirectoryOfAMemoryStore(t *testing.T) {
	dir := t.TempDir()
	first := job(t, dir, "memory", "")
	require.NoError(t, ran(t, first, dir))
	second := job(t, dir, "memory", "")
	require.ErrorIs(t, ran(t, second, dir), cleanup.ErrOtherStore)
	require.NoError(t, ran(t, first, dir))

	require.NoError(t, first.Close())
	restarted := job(t, dir, "memory", "")
	require.NoError(t, ran(t, restarted, dir))
	require.ErrorIs(t, ran(t, second, dir), cleanup.ErrOtherStore)

	// By adopting it the second one is let in, once the first is gone.
	require.NoError(t, restarted.Close())
	require.ErrorIs(t, ran(t, second, dir), cleanup.ErrOtherStore, "it may be restarting")
	require.NoError(t, cleanup.Adopt(dir, "memory", "", nil))
	require.NoError(t, ran(t, second, dir))
}

// A service that is gone for good is succeeded: not at once, for it may only be
// restarting.
func TestDirectoryOfAMemoryStoreThatIsGone(t *testing.T) {
	for _, heir := range [][2]string{{"memory", ""}, {"redis", "ONE"}, {"bolt", "TWO"}} {
		t.Run(heir[0], func(t *testing.T) {
			dir := t.TempDir()
			first := job(t, dir, "memory", "")
			require.NoError(t, ran(t, first, dir))

			o := of(options(dir, referring()), heir[0], heir[1])
			now := time.Now()
			o.Now = func() time.Time { return now }
			next := newJobOf(t, o)
			t.Cleanup(func() { assert.NoError(t, next.Close()) })
			refused := func() {
				t.Helper()
				require.ErrorIs(t, ran(t, next, dir), cleanup.ErrOtherStore)
			}
			refused()
			now = now.Add(time.Hour)
			refused()
			require.NoError(t, first.Close())
			refused()
			now = now.Add(grace - time.Second)
			refused()

			// It is back: the wait begins anew.
			again := job(t, dir, "memory", "")
			require.NoError(t, ran(t, again, dir))
			now = now.Add(time.Hour)
			refused()
			require.NoError(t, again.Close())
			refused()
			now = now.Add(grace)
			require.NoError(t, ran(t, next, dir))
			require.ErrorIs(t, ran(t, job(t, dir, "memory", ""), dir), cleanup.ErrOtherStore)
		})
	}
}

// Of stores that come at once, one has the directory; of instances of one store
// all do.
func TestManyClaimAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		id   func(n int) string
		have int
	}{
		"stores":    {func(n int) string { return fmt.Sprint("STORE", n) }, 1},
		"instances": {func(int) string { return "ONE" }, 12},
		"processes": {func(int) string { return "" }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			errs := make([]error, 12)
			var all sync.WaitGroup
			for n := range errs {
				j := job(t, dir, "kind", tt.id(n))
				all.Go(func() { errs[n] = j.Claim(t.Context()) })
			}
			all.Wait()
			have := 0
			for _, err := range errs {
				if err == nil {
					have++
				} else {
					assert.ErrorIs(t, err, cleanup.ErrOtherStore)
				}
			}
			assert.Equal(t, tt.have, have)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Len(t, left, 1, "the marker, and nothing that was left over")
		})
	}
}

// A store that does not answer is no other store: its error comes back, and
// nothing is deleted.
func TestIdentityUnknown(t *testing.T) {
	dir := t.TempDir()
	o := of(options(dir, referring()), "redis", "")
	o.Identity = func(context.Context) (string, error) { return "", errStore }
	j := newJobOf(t, o)
	err := ran(t, j, dir)
	require.ErrorIs(t, err, errStore)
	assert.NotErrorIs(t, err, cleanup.ErrDirectory)
	report, _ := j.Last()
	assert.NotContains(t, only(t, report, "").Detail, "10.1.2.3")
}

func TestClaimIsLogged(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, job(t, dir, "redis", "ONE").Claim(t.Context()))
	var buf bytes.Buffer
	o := of(options(dir, referring()), "bolt", "TWO")
	o.Logger = slog.New(slog.NewTextHandler(&buf, nil))
	require.ErrorIs(t, newJobOf(t, o).Claim(t.Context()), cleanup.ErrOtherStore)
	assert.Contains(t, buf.String(), "level=WARN")
	assert.Contains(t, buf.String(), "session-api cleanup adopt "+dir)
	assert.NotContains(t, buf.String(), "ONE")
}

// A marker that is lost is made anew only where no doubt is possible.
func TestMarkerThatIsLost(t *testing.T) {
	dir := t.TempDir()
	j := job(t, dir, "bolt", "ONE")
	require.NoError(t, ran(t, j, dir))
	require.NoError(t, os.Remove(filepath.Join(dir, cleanup.MarkerName)))
	require.ErrorIs(t, ran(t, j, dir), cleanup.ErrDirectory)
	require.NoError(t, os.Remove(filepath.Join(dir, "file")))
	_, err := j.Run(t.Context(), false)
	require.NoError(t, err, "it is empty")
	require.NoError(t, ran(t, j, dir))
}

// Projects beneath the directory, and directories that others clean, are left
// alone with all that is in them; what lies beside them is not.
func TestProjectsBeneath(t *testing.T) {
	for _, sign := range []string{".git", ".hg", ".svn", "go.mod", "package.json", "Cargo.toml", "pyproject.toml", "pom.xml", "composer.json", "Gemfile", ".gitignore", "Dockerfile"} {
		t.Run(sign, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "work/project/main", aged)
			write(t, dir, "work/project/deep/er/file", aged)
			write(t, dir, "work/project/"+sign, aged)
			mkdir(t, dir, "work/project/empty", aged)
			stray := write(t, dir, "work/stray", aged)
			before := len(tree(t, dir))

			report := clean(t, dir, referring())
			assert.NoFileExists(t, stray)
			assert.Len(t, tree(t, dir), before-1)
			assert.Equal(t, 1, report.Deleted)
			assert.Equal(t, 1, report.Skipped)
			entry := only(t, report, "work/project")
			assert.Equal(t, cleanup.ActionSkipped, entry.Action)
			assert.Equal(t, cleanup.ReasonProject, entry.Reason)
			assert.Contains(t, entry.Detail, sign)
		})
	}
	t.Run("whose sign comes last", func(t *testing.T) {
		dir := t.TempDir()
		for n := range 3000 {
			write(t, dir, fmt.Sprintf("project/file-%d", n), aged)
		}
		mkdir(t, dir, "project/.git", aged)
		report := clean(t, dir, referring())
		assert.Zero(t, report.Deleted)
		assert.Equal(t, cleanup.ReasonProject, only(t, report, "project").Reason)
	})
	t.Run("another directory that is cleaned", func(t *testing.T) {
		dir := t.TempDir()
		other := mkdir(t, dir, "other", old)
		require.NoError(t, job(t, other, "redis", "ONE").Claim(t.Context()))
		path := write(t, other, "file", aged)
		report := clean(t, dir, referring())
		assert.FileExists(t, path)
		assert.Equal(t, cleanup.ReasonOtherDirectory, only(t, report, "other").Reason)
	})
	t.Run("at the top", func(t *testing.T) {
		dir := t.TempDir()
		j := newJob(t, dir, referring())
		path := write(t, dir, "package.json", aged)
		_, err := j.Run(t.Context(), false)
		require.ErrorIs(t, err, cleanup.ErrDirectory)
		assert.FileExists(t, path)
		assert.Error(t, cleanup.Adopt(dir, "bolt", "ONE", nil))
	})
}

// What the service itself needs is found through links, and under other names.
func TestOwnFiles(t *testing.T) {
	top := t.TempDir()
	dir := mkdir(t, top, "files", old)
	outside := mkdir(t, top, "outside", old)
	require.NoError(t, os.Symlink(filepath.Join(dir, "data"), filepath.Join(outside, "data")))
	require.NoError(t, os.Symlink(top, filepath.Join(outside, "up")))
	require.NoError(t, os.Symlink("../files/new/deep", filepath.Join(outside, "dangling")))
	for name, path := range map[string]string{
		"by name":                      filepath.Join(dir, "secret"),
		"the directory itself":         dir,
		"through a link":               filepath.Join(outside, "data"),
		"in a directory by a link":     filepath.Join(outside, "data", "sessions.db"),
		"through a link further up":    filepath.Join(outside, "up", "files", "secret"),
		"through a link that dangles":  filepath.Join(outside, "dangling"),
		"in what a link would lead to": filepath.Join(outside, "dangling", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			o := options(dir, referring())
			o.OwnFiles = []cleanup.OwnFile{{Name: "THE_SECRET", Path: path}}
			err := o.Validate()
			assert.Equal(t, []string{"Dir"}, wrongOptions(err))
			assert.ErrorContains(t, err, "THE_SECRET")
			assert.Error(t, cleanup.Adopt(dir, "bolt", "ONE", o.OwnFiles))
		})
	}
	for _, path := range []string{outside, filepath.Join(outside, "missing"), top, dir + "x", "/"} {
		assert.False(t, cleanup.Contains(dir, path), path)
	}

	// It may come to lie there later, under whatever name.
	o := options(dir, referring())
	secret := filepath.Join(outside, "secret")
	o.OwnFiles = []cleanup.OwnFile{{Name: "THE_SECRET", Path: secret}, {Name: "THE_DATA", Path: filepath.Join(outside, "db")}}
	write(t, outside, "secret", aged)
	write(t, outside, "db/sessions.db", aged)
	j := newJobOf(t, o)
	require.NoError(t, os.Link(secret, filepath.Join(dir, "a name")))
	require.NoError(t, os.Link(filepath.Join(outside, "db/sessions.db"), filepath.Join(dir, "b name")))
	open, err := os.Open(write(t, dir, "open", aged))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, open.Close()) })
	stray := write(t, dir, "stray", aged)
	report := run(t, j)
	assert.NoFileExists(t, stray)
	for _, name := range []string{"a name", "b name", "open"} {
		assert.FileExists(t, filepath.Join(dir, name))
		assert.Equal(t, cleanup.ReasonOwnFile, only(t, report, name).Reason)
	}

	require.NoError(t, os.Remove(secret))
	require.NoError(t, os.Symlink(filepath.Join(dir, "open"), secret))
	_, err = j.Run(t.Context(), false)
	require.ErrorIs(t, err, cleanup.ErrDirectory)
	assert.ErrorContains(t, err, "THE_SECRET")
}

// Both forms of a name are one, and a directory keeps all beneath it, also when
// the reference arrives last.
func TestReferencesOfOneName(t *testing.T) {
	const composed, decomposed = "caf\u00e9", "cafe\u0301"
	for _, onDisk := range []string{composed, decomposed} {
		for _, ref := range []string{composed, decomposed} {
			for _, rest := range []string{"/sub/file", "/sub", ""} {
				dir := t.TempDir()
				path := write(t, dir, onDisk+"/sub/file", old)
				clean(t, dir, referring(ref+rest))
				assert.FileExists(t, path, "%q by %q", onDisk, ref+rest)

				s := referring()
				s.hasFile = func(paths []string) (bool, error) { return slices.Contains(paths, dir+"/"+ref+rest), nil }
				clean(t, dir, s)
				assert.FileExists(t, path, "%q by %q, at last", onDisk, ref+rest)
			}
		}
	}
	dir := t.TempDir()
	empty := mkdir(t, dir, "run/empty", old)
	setAge(t, filepath.Join(dir, "run"), old)
	clean(t, dir, referring("run"))
	assert.DirExists(t, empty)
}
