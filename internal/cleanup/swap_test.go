package cleanup_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// The store is asked for references just before a file is deleted: that is the
// moment at which these tests change what is there.

func TestChangedBetweenScanAndDelete(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path, target string)
		left   bool
		kept   int
	}{
		{"written again", func(t *testing.T, path, _ string) {
			require.NoError(t, os.WriteFile(path, []byte("new content"), 0o600))
		}, true, 1},
		{"touched", func(t *testing.T, path, _ string) { setAge(t, path, 0) }, true, 1},
		{"replaced by another file", func(t *testing.T, path, _ string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			other := write(t, filepath.Dir(path), "other.tmp", 0)
			require.NoError(t, os.Chtimes(other, info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(other, path))
		}, true, 1},
		{"replaced by a symbolic link", func(t *testing.T, path, target string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink(target, path))
		}, true, 1},
		{"replaced by an empty directory", func(t *testing.T, path, _ string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}, true, 1},
		{"deleted", func(t *testing.T, path, _ string) { require.NoError(t, os.Remove(path)) }, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			target := write(t, t.TempDir(), "target", aged)
			path := write(t, dir, "sub/file", old)
			s := referring()
			s.hasFile = func([]string) (bool, error) {
				tt.change(t, path, target)
				return false, nil
			}
			report := clean(t, dir, s)

			assert.FileExists(t, target)
			_, err := os.Lstat(path)
			assert.Equal(t, tt.left, err == nil)
			assert.Equal(t, tt.kept, report.Kept)
			assert.Zero(t, report.Deleted)
			assert.Zero(t, report.Errors)
			assert.Equal(t, report.Kept, report.Scanned)
		})
	}
}

// A directory on the way is swapped: neither the directory that was moved away
// nor what took its place loses a file.
func TestDirectorySwappedBetweenScanAndDelete(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, sub, elsewhere string){
		"for a symbolic link outside": func(t *testing.T, sub, elsewhere string) {
			require.NoError(t, os.Symlink(elsewhere, sub))
		},
		"for a symbolic link inside": func(t *testing.T, sub, _ string) {
			require.NoError(t, os.Symlink("other", sub))
		},
		"for another directory": func(t *testing.T, sub, _ string) {
			write(t, sub, "deep/file", old)
		},
		"for nothing": func(*testing.T, string, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			write(t, elsewhere, "deep/file", aged)
			write(t, dir, "other/deep/file", fresh)
			path := write(t, dir, "sub/deep/file", old)
			sub := filepath.Dir(filepath.Dir(path))
			moved := filepath.Join(elsewhere, "moved")
			s := referring()
			s.hasFile = func([]string) (bool, error) {
				if _, err := os.Lstat(moved); err == nil {
					return true, nil
				}
				require.NoError(t, os.Rename(sub, moved))
				swap(t, sub, elsewhere)
				return false, nil
			}
			report := clean(t, dir, s)

			assert.Zero(t, report.Deleted)
			assert.Zero(t, report.DirsRemoved)
			assert.FileExists(t, filepath.Join(moved, "deep/file"))
			assert.FileExists(t, filepath.Join(elsewhere, "deep/file"))
			assert.FileExists(t, filepath.Join(dir, "other/deep/file"))
		})
	}
}

// The same for a directory that has been seen and not been entered yet.
func TestDirectorySwappedBeforeItIsEntered(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, sub, elsewhere string){
		"for a symbolic link outside": func(t *testing.T, sub, elsewhere string) {
			require.NoError(t, os.Symlink(elsewhere, sub))
		},
		"for a symbolic link inside": func(t *testing.T, sub, _ string) {
			require.NoError(t, os.Symlink("moved", sub))
		},
		"for another directory": func(t *testing.T, sub, _ string) { write(t, sub, "file", aged) },
		"for a file":            func(t *testing.T, sub, _ string) { write(t, filepath.Dir(sub), "sub", aged) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			write(t, elsewhere, "file", aged)
			sub := filepath.Dir(write(t, dir, "sub/file", old))
			setAge(t, sub, old)
			write(t, dir, "a-file-comes-first", old)
			s := referring()
			var before map[string]string
			s.hasFile = func(paths []string) (bool, error) {
				require.Contains(t, paths, "a-file-comes-first")
				require.NoError(t, os.Rename(sub, filepath.Join(dir, "moved")))
				swap(t, sub, elsewhere)
				before = tree(t, dir)
				return true, nil
			}
			there := tree(t, elsewhere)
			report := clean(t, dir, s)

			assert.Equal(t, there, tree(t, elsewhere))
			assert.Equal(t, before, tree(t, dir))
			assert.Zero(t, report.Deleted)
		})
	}
}

// A file put into a directory that is about to be removed keeps it.
func TestDirectoryFilledBeforeItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/file", old)
	sub := mkdir(t, dir, "sub", old)
	s := referring()
	s.hasFile = func([]string) (bool, error) {
		write(t, sub, "new", 0)
		return false, nil
	}
	report := clean(t, dir, s)
	assert.FileExists(t, filepath.Join(sub, "new"))
	assert.Equal(t, 1, report.Deleted)
	assert.Zero(t, report.DirsRemoved)
	assert.Zero(t, report.Errors)
}

// The directory itself is replaced while it is cleaned: the run ends.
func TestRootReplaced(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, dir, elsewhere string){
		"by a symbolic link": func(t *testing.T, dir, elsewhere string) {
			require.NoError(t, os.Symlink(elsewhere, dir))
		},
		"by another directory": func(t *testing.T, dir, _ string) {
			for _, name := range []string{"one", "two", "sub/three"} {
				write(t, dir, name, aged)
			}
		},
		"by nothing": func(*testing.T, string, string) {},
	} {
		for _, age := range []time.Duration{old, aged} { // with and without another question before the delete
			t.Run(name+" "+age.String(), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "files")
				elsewhere, moved := t.TempDir(), dir+".moved"
				for _, name := range []string{"one", "two", "sub/three"} {
					write(t, dir, name, age)
					write(t, elsewhere, name, aged)
				}
				write(t, dir, "first", old)
				s := referring()
				s.hasFile = func([]string) (bool, error) {
					if _, err := os.Lstat(moved); err != nil {
						require.NoError(t, os.Rename(dir, moved))
						swap(t, dir, elsewhere)
					}
					return false, nil
				}
				j := newJob(t, dir, s)
				there := tree(t, elsewhere)
				report, err := j.Run(t.Context(), false)

				require.ErrorIs(t, err, cleanup.ErrDirectory)
				assert.Equal(t, there, tree(t, elsewhere))
				assert.Equal(t, 1, report.Errors)
				assert.Contains(t, only(t, report, "").Detail, "replaced")
				left := len(tree(t, moved)) + report.Deleted
				assert.Equal(t, 6, left, "files deleted elsewhere")
				if age == old {
					assert.Zero(t, report.Deleted)
				}
				assert.Equal(t, cleanup.ActionFailed, only(t, report, "").Action)
			})
		}
	}
}
