package cleanup_test

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// wrongOptions are the names of the options that an error complains of.
func wrongOptions(err error) []string {
	var names []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			if o, ok := errors.AsType[*cleanup.OptionError](one); ok {
				names = append(names, o.Option)
			}
		}
	}
	return names
}

func TestOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(o *cleanup.Options)
		wrong  []string
	}{
		"as they should be":     {func(*cleanup.Options) {}, nil},
		"no interval, no grace": {func(o *cleanup.Options) { o.Interval, o.Grace = 0, 0 }, nil},
		"no log":                {func(o *cleanup.Options) { o.Logger = nil }, nil},
		"TTL as long as grace":  {func(o *cleanup.Options) { o.TTL = o.Grace }, nil},
		"TTL below grace":       {func(o *cleanup.Options) { o.TTL = o.Grace - 1 }, []string{"TTL"}},
		"no TTL":                {func(o *cleanup.Options) { o.TTL = 0 }, []string{"TTL"}},
		"all at once": {
			func(o *cleanup.Options) { *o = cleanup.Options{Dir: "files", Interval: -1, Grace: -1, TTL: -1} },
			[]string{"Dir", "Interval", "Grace", "TTL", "Sweeper", "References", "Now"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t.TempDir(), referring())
			tt.change(&o)
			err := o.Validate()
			assert.Equal(t, tt.wrong, wrongOptions(err))
			_, newErr := cleanup.New(o)
			assert.Equal(t, err, newErr)
		})
	}
}

func TestRefusedDirectories(t *testing.T) {
	dirs := []string{
		"", ".", "files", "../files", "~/files",
		"/", "//", "/tmp/..", "/etc", "/etc/", "/etc/session-api", "/usr", "/usr/bin", "/usr/lib/x", "/usr/local",
		"/usr/share/x", "/bin", "/sbin", "/lib", "/lib64", "/var", "/var/lib", "/var/log", "/var/tmp", "/boot", "/boot/x",
		"/dev", "/dev/x", "/dev/shm", "/proc", "/proc/self/cwd", "/sys", "/sys/x", "/opt", "/srv", "/tmp", "/run", "/mnt",
		"/media", "/root", "/home", "/home/somebody", "/home/somebody/", os.TempDir(), os.TempDir() + "/.",
		"/tmp/../etc", "/does/not/exist", "/etc/passwd/x",
	}
	u, err := user.Current()
	require.NoError(t, err)
	dirs = append(dirs, u.HomeDir)
	program, err := os.Executable()
	require.NoError(t, err)
	dirs = append(dirs, filepath.Dir(program), filepath.Dir(filepath.Dir(program)))

	for _, dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			o := options(dir, referring())
			assert.Equal(t, []string{"Dir"}, wrongOptions(o.Validate()))
			_, err := cleanup.New(o)
			assert.Error(t, err)
		})
	}
}

// Validate alone: nothing is made in a system's directories.
func TestAcceptedDirectories(t *testing.T) {
	for _, dir := range []string{
		filepath.Join(os.TempDir(), "validator-analysis-that-is-not-there"),
		"/opt/session-api-files", "/srv/session-api-files", "/var/lib/session-api-files", "/var/tmp/session-api-files",
		"/home-of-session-api", "/etcetera", "/tmp/./session-api-files/", "/dev/shm/session-api-files",
	} {
		if _, err := os.Stat(filepath.Dir(filepath.Clean(dir))); err != nil {
			continue // not on every system
		}
		o := options(dir, referring())
		assert.NoError(t, o.Validate(), dir)
		assert.NoDirExists(t, dir, "Validate makes nothing")
	}
}

func TestRefusedByWhatIsThere(t *testing.T) {
	for name, build := range map[string]func(t *testing.T) string{
		"a git repository": func(t *testing.T) string { return filepath.Dir(mkdir(t, t.TempDir(), ".git", 0)) },
		"a git worktree":   func(t *testing.T) string { return filepath.Dir(write(t, t.TempDir(), ".git", 0)) },
		"a Go module":      func(t *testing.T) string { return filepath.Dir(write(t, t.TempDir(), "go.mod", 0)) },
		"a file":           func(t *testing.T) string { return write(t, t.TempDir(), "file", 0) },
		"in a file":        func(t *testing.T) string { return filepath.Join(write(t, t.TempDir(), "file", 0), "files") },
		"no parent":        func(t *testing.T) string { return filepath.Join(t.TempDir(), "missing", "files") },
		"a NUL byte":       func(t *testing.T) string { return t.TempDir() + "\x00" },
		"a symbolic link":  func(t *testing.T) string { return symlink(t, t.TempDir()) },
		"a symbolic link to a system directory": func(t *testing.T) string {
			return symlink(t, "/etc")
		},
		"a dangling symbolic link": func(t *testing.T) string { return symlink(t, filepath.Join(t.TempDir(), "nothing")) },
		"a system directory by way of a symbolic link": func(t *testing.T) string {
			return filepath.Join(symlink(t, "/"), "etc")
		},
		"a missing one in a system directory by way of a symbolic link": func(t *testing.T) string {
			return filepath.Join(symlink(t, "/etc"), "session-api-files")
		},
		"the home directory": func(t *testing.T) string {
			home := t.TempDir()
			t.Setenv("HOME", home)
			return home
		},
		"above the home directory": func(t *testing.T) string {
			above := t.TempDir()
			t.Setenv("HOME", filepath.Join(above, "deep", "home"))
			return above
		},
		"the home directory by way of a symbolic link": func(t *testing.T) string {
			home := mkdir(t, t.TempDir(), "home", 0)
			t.Setenv("HOME", home)
			return filepath.Join(symlink(t, filepath.Dir(home)), "home")
		},
		"the home directory that is itself a symbolic link": func(t *testing.T) string {
			home := t.TempDir()
			t.Setenv("HOME", symlink(t, home))
			return home
		},
		"the temporary directory": func(t *testing.T) string {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := build(t)
			o := options(dir, referring())
			assert.Equal(t, []string{"Dir"}, wrongOptions(o.Validate()))
			_, err := cleanup.New(o)
			assert.Error(t, err)
		})
	}
}

func symlink(t *testing.T, target string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(target, link))
	return link
}

func TestMissingDirectoryIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	newJob(t, dir, referring())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|0o700, info.Mode())
}

func TestExistingDirectoryKeepsItsMode(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o770))
	newJob(t, dir, referring())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|0o770, info.Mode())
}
