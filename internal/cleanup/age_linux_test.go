package cleanup_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// asFileSystem are options with which ages are those of the file system, that
// long from now.
func asFileSystem(dir string, s *store, later time.Duration) cleanup.Options {
	o := options(dir, s)
	o.AgeByFileSystem()
	now := time.Now().Add(later)
	o.Now = func() time.Time { return now }
	return o
}

func sh(t *testing.T, dir, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// What comes into the directory is new there, however old its content is.
func TestFilesThatCameLately(t *testing.T) {
	elsewhere := t.TempDir()
	content := write(t, elsewhere, "file", 1000*ttl)
	sh(t, elsewhere, "tar cf file.tar file && mkdir tree && cp -p file tree && touch -d '3 years ago' tree && cp -p file linked")

	for name, command := range map[string]string{
		"copied with its times":      "cp -p ../file got",
		"copied as a whole":          "cp -a ../tree got",
		"unpacked":                   "tar xf ../file.tar && mv file got",
		"moved":                      "cp -p ../file ../moved && mv ../moved got",
		"moved as a directory":       "cp -a ../tree ../moved && mv ../moved got",
		"linked":                     "ln ../linked got",
		"given an old time":          "echo new > got && touch -d '1 year ago' got",
		"given another mode":         "cp -p ../file got && chmod 600 got",
		"renamed":                    "cp -p ../file it && mv it got",
		"an empty directory":         "mkdir got && touch -d '1 year ago' got",
		"written and set to 1970":    "echo new > got && touch -d @1 got",
		"unpacked into a new folder": "mkdir got && tar xf ../file.tar -C got",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(elsewhere, "files")
			require.NoError(t, os.Mkdir(dir, 0o700))
			defer func() { require.NoError(t, os.RemoveAll(dir)) }()
			sh(t, dir, command)
			for _, later := range []time.Duration{0, grace - time.Minute} {
				report, err := newJobOf(t, asFileSystem(dir, referring(), later)).Run(t.Context(), false)
				require.NoError(t, err)
				assert.Zero(t, report.Deleted+report.DirsRemoved+report.Errors, "%+v", report.Entries)
				_, err = os.Lstat(filepath.Join(dir, "got"))
				require.NoError(t, err)
			}
			// Once they have been there for the grace, they go.
			_, err := newJobOf(t, asFileSystem(dir, referring(), grace+time.Minute)).Run(t.Context(), false)
			require.NoError(t, err)
			_, err = os.Lstat(filepath.Join(dir, "got"))
			assert.ErrorIs(t, err, os.ErrNotExist)
		})
	}
	assert.FileExists(t, content)
}

// The age limit counts from when a file came, too.
func TestTheAgeLimitCountsFromWhenAFileCame(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", 1000*ttl)
	for later, deleted := range map[time.Duration]int{ttl - time.Hour: 0, ttl + time.Hour: 1} {
		report, err := newJobOf(t, asFileSystem(dir, referring("file"), later)).Run(t.Context(), true)
		require.NoError(t, err)
		assert.Equal(t, deleted, report.Deleted)
	}
	report, err := newJobOf(t, asFileSystem(dir, referring(), -time.Hour)).Run(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, cleanup.ReasonFutureTime, only(t, report, "file").Reason)
}

// A file that is replaced, or only moved over, between scan and delete stays.
func TestFileChangesBeforeTheDelete(t *testing.T) {
	for name, change := range map[string]string{
		"its mode":                "chmod 640 file",
		"its times, to the same":  "touch -r file ref && touch -r ref file && rm ref",
		"another with its times":  "cp -p file other && mv other file",
		"another name, and back":  "mv file other && mv other file",
		"its content, not length": "touch -r file ../ref && printf changed > file && touch -r ../ref file",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "files")
			path := write(t, dir, "file", old)
			s := referring()
			s.hasFile = func([]string) (bool, error) {
				sh(t, dir, change)
				return false, nil
			}
			report, err := newJobOf(t, asFileSystem(dir, s, old)).Run(t.Context(), false)
			require.NoError(t, err)
			assert.FileExists(t, path)
			assert.Equal(t, 1, report.Kept)
		})
	}
}
