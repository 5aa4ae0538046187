package cleanup

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// markerName is the file by which a directory that is cleaned is known. It
// stands at the directory's top and is never deleted.
const markerName = ".session-api-cleanup"

// marker is what the file says: whose directory it is.
type marker struct {
	// About is for people.
	About string `json:"about"`
	// Store is the kind of the store whose sessions refer to the files; empty
	// as long as no store has claimed the directory.
	Store string `json:"store"`
	// ID is the store's identity; empty where its sessions end with it.
	ID string `json:"id"`
}

const aboutMarker = "session-api deletes files in this directory that no session of this store refers to"

// maxMarker bounds what is read of a marker.
const maxMarker = 4096

var errMarker = errors.New("its " + markerName + " is no file of session-api")

// errMarkerChanged: it was replaced just now, by somebody who claims the
// directory.
var errMarkerChanged = errors.New("its " + markerName + " was replaced")

// same reports whether two markers name one store.
func (m marker) same(o marker) bool { return m.Store == o.Store && m.ID == o.ID }

// openMarker opens a directory's marker, and returns what it says. Returns
// fs.ErrNotExist where there is none.
func openMarker(root *os.Root) (*os.File, marker, error) {
	seen, err := root.Lstat(markerName)
	if err != nil {
		return nil, marker{}, err
	}
	if !seen.Mode().IsRegular() {
		return nil, marker{}, errMarker
	}
	f, err := root.OpenFile(markerName, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, marker{}, err
	}
	m, err := readMarker(f, seen)
	if err != nil {
		shut(f)
		return nil, marker{}, err
	}
	return f, m, nil
}

func readMarker(f *os.File, seen fs.FileInfo) (m marker, err error) {
	switch opened, err := f.Stat(); {
	case err != nil:
		return m, err
	case !os.SameFile(opened, seen):
		return m, errMarkerChanged
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMarker))
	if err != nil {
		return m, err
	}
	if json.Unmarshal(b, &m) != nil || m.About == "" || m.Store == "" && m.ID != "" {
		return m, errMarker
	}
	return m, nil
}

// writeMarker puts a marker into a directory, in the place of the one that may
// be there if replace says so. Otherwise it returns fs.ErrExist.
func writeMarker(root *os.Root, m marker, replace bool) error {
	m.About = aboutMarker
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// It appears under its name only once it is complete.
	temp := markerName + "." + rand.Text()
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && !replace {
		if err = root.Link(temp, markerName); err == nil || errors.Is(err, fs.ErrExist) {
			return errors.Join(err, root.Remove(temp))
		}
		// Not all file systems have links. Of two that do this at once, the last
		// one wins.
		if _, there := root.Lstat(markerName); there == nil {
			err = fs.ErrExist
		} else {
			err = nil
		}
	}
	if err == nil {
		err = root.Rename(temp, markerName)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// vacant reports whether a directory holds nothing but what a file system or
// this package puts there.
func vacant(dir *os.File) (bool, error) {
	for {
		names, err := dir.Readdirnames(readBatch)
		for _, name := range names {
			if name != "lost+found" && !strings.HasPrefix(name, markerName) {
				return false, nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, err
		}
	}
}

// rootVacant is vacant for a directory that is open as a root.
func rootVacant(root *os.Root) (bool, error) {
	f, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer shut(f)
	return vacant(f)
}

// unmarkedError: the directory may hold what is not ours.
type unmarkedError struct{ dir string }

func (e unmarkedError) Error() string {
	return fmt.Sprintf("%q: it is not empty and nothing says that it may be cleaned; name an empty directory, "+
		"or if all files in it may be deleted, run: session-api cleanup adopt %s", e.dir, shellQuoted(e.dir))
}

// shellQuoted is a path as it can be typed into a shell.
func shellQuoted(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r)
	}
	if !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Adopt makes a directory the one of a store, whatever it holds and whoever
// cleaned it until now. kind and id are as in Options. It returns what forbids
// to clean it.
func Adopt(dir, kind, id string, own []OwnFile) error {
	if err := errors.Join(checkPlace(dir), checkOwn(dir, own)); err != nil {
		return err
	}
	root, _, err := openDir(dir)
	if err != nil {
		return err
	}
	defer shut(root)
	if seen, err := root.Lstat(markerName); err == nil && !seen.Mode().IsRegular() {
		return fmt.Errorf("%q: %w", dir, errMarker)
	}
	if err := writeMarker(root, marker{Store: kind, ID: id}, true); err != nil {
		return fmt.Errorf("%q: writing its %s: %w", dir, markerName, cause(err))
	}
	return nil
}
