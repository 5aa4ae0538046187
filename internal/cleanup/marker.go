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

// markerName is the name of the marker file at the top of a directory that is cleaned.
// It is never deleted.
const markerName = ".session-api-cleanup"

// marker is the content of the marker file: the owner of the directory.
type marker struct {
	// About is for people who find the file.
	About string `json:"about"`
	// Store is the kind of the store whose sessions refer to the files; empty until a
	// store claims the directory.
	Store string `json:"store"`
	// ID is the store's identity; empty if its sessions end with the process.
	ID string `json:"id"`
}

const aboutMarker = "session-api deletes files in this directory that no session of this store refers to"

// maxMarker bounds the bytes that are read of a marker.
const maxMarker = 4096

var errMarker = errors.New("its " + markerName + " is no file of session-api")

// errMarkerChanged is returned if another process replaced the marker meanwhile.
var errMarkerChanged = errors.New("its " + markerName + " was replaced")

// same reports whether two markers name one store.
func (m marker) same(o marker) bool { return m.Store == o.Store && m.ID == o.ID }

// openMarker opens the marker of a directory and returns its content. It returns
// fs.ErrNotExist if there is none.
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
		closeReader(f)
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

// writeMarker writes the marker of a directory. If there is one and replace is false,
// it returns fs.ErrExist.
func writeMarker(root *os.Root, m marker, replace bool) error {
	m.About = aboutMarker
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// The rename makes it appear complete.
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
		// Some file systems have no hard links. Of two processes that get here at once,
		// the last one wins.
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

// isEmptyDir reports whether a directory holds nothing but what file systems and this
// package put there.
func isEmptyDir(dir *os.File) (bool, error) {
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

// isEmptyRoot is isEmptyDir for an os.Root.
func isEmptyRoot(root *os.Root) (bool, error) {
	f, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer closeReader(f)
	return isEmptyDir(f)
}

// unmarkedError is returned for a directory that is neither empty nor marked.
type unmarkedError struct{ dir string }

func (e unmarkedError) Error() string {
	return fmt.Sprintf("%q: it is not empty and nothing says that it may be cleaned; name an empty directory, "+
		"or if all files in it may be deleted, run: session-api cleanup adopt %s", e.dir, shellQuoted(e.dir))
}

// shellQuoted quotes a path for a shell.
func shellQuoted(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r)
	}
	if !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Adopt makes a directory belong to a store, whatever it holds and whoever cleaned it
// before. kind and id are as in Options. It returns an error if the directory must not
// be cleaned.
func Adopt(dir, kind, id string, own []OwnFile) error {
	if err := errors.Join(checkDirectory(dir), checkOwn(dir, own)); err != nil {
		return err
	}
	root, _, err := openDir(dir)
	if err != nil {
		return err
	}
	defer closeReader(root)
	if seen, err := root.Lstat(markerName); err == nil && !seen.Mode().IsRegular() {
		return fmt.Errorf("%q: %w", dir, errMarker)
	}
	if err := writeMarker(root, marker{Store: kind, ID: id}, true); err != nil {
		return fmt.Errorf("%q: writing its %s: %w", dir, markerName, withoutPath(err))
	}
	return nil
}
