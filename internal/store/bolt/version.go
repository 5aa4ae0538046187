package bolt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// fileVersion is the version of the file's format that is written. Earlier ones are
// read. A file has no number in it where it is of the first; since the second one
// records tell the lives of sessions, and the log has a tally; since the third there is
// a journal; since the fourth, sessions have facts; since the fifth, there are requests
// with an Idempotency-Key.
const fileVersion = 5

// ErrNewer: a newer version of the service has written the data file, in a way that
// this one does not know.
var ErrNewer = errors.New("a newer version of the service wrote it")

// beforeName is the file as it was before this version wrote it for the first time.
const beforeName = "sessions.db.before-upgrade"

// formatValue is what meta has under formatKey. Earlier versions read no more of it
// than that it is there.
func formatValue() []byte { return seal([]byte{format, fileVersion}, 0, []byte(formatKey)) }

// versionOf reads the version from what unseal returned of formatKey.
func versionOf(content []byte) int {
	if len(content) == 0 {
		return 1
	}
	return int(content[0])
}

func (c *content) checkVersion() error {
	if c.version > fileVersion {
		return fmt.Errorf("%w: the file's format is %d, and this one reads up to %d", ErrNewer, c.version, fileVersion)
	}
	return nil
}

// upgrade keeps a copy of the file as an earlier version has written it. Where the
// volume has no room for that, the start goes on: that version can read what this
// one adds.
func (d *directory) upgrade(file *os.File, log *slog.Logger) {
	if err := d.keepBefore(file); err != nil {
		log.Warn("an earlier version has written the data file, and no copy of it could be kept", "error", err)
		return
	}
	log.Info("an earlier version has written the data file: a copy of it stays until the first clean stop",
		"copy", filepath.Join(d.path, beforeName))
}

// keepBefore keeps a copy of a file that an earlier version has written, until the
// first clean stop of this one. What there is of such a copy already is older, and
// stays.
func (d *directory) keepBefore(file *os.File) error {
	path := filepath.Join(d.path, beforeName)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	temp := path + ".new"
	if err := copyFile(file, temp); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("keeping the file as it was: %w", err)
	}
	return errors.Join(giveOver(d.path, beforeName), syncDir(d.path))
}

func copyFile(from *os.File, to string) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // in the operator's directory
	if err != nil {
		return fmt.Errorf("keeping the file as it was: %w", err)
	}
	info, err := from.Stat()
	if err == nil {
		_, err = io.Copy(out, io.NewSectionReader(from, 0, info.Size()))
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("keeping the file as it was: %w", err)
	}
	return nil
}

// dropBefore removes the copy.
func (d *directory) dropBefore() error {
	err := os.Remove(filepath.Join(d.path, beforeName))
	if err == nil {
		return syncDir(d.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("removing the copy from before the upgrade: %w", err)
}
