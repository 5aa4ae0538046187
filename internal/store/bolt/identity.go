package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"session-api/internal/store/backend"
)

// identityName is the file of a directory that holds its identity.
const identityName = "store-id"

// identityMax bounds what is read of it.
const identityMax = 64

var _ backend.Identified = (*Store)(nil)

// Identity implements backend.Identified: it is that of the data directory.
// Of one that is only read, nobody knows whether it is a copy: what it refers to
// may be no more than a part of what the other one does.
func (s *Store) Identity(context.Context) (string, error) {
	if s.readOnly {
		return "", fmt.Errorf("the identity of the store: %w: %w", backend.ErrReadOnly, errReadOnly)
	}
	id, err := Identity(s.dir.path)
	if err == nil {
		s.dir.identity.Store(&id)
	}
	return id, err
}

// restoreIdentity puts back the identity that was read, where it is gone: the
// sessions are those of the same store, wherever they are written.
func (d *directory) restoreIdentity() error {
	id := d.identity.Load()
	if id == nil {
		return nil
	}
	path := filepath.Join(d.path, identityName)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeIdentity(path, *id); err != nil {
		return fmt.Errorf("making the identity of the store again: %w", err)
	}
	return nil
}

// Identity returns the identity of the store in a directory, which may be open
// at the time. Where the directory has none yet, it gets one.
func Identity(dir string) (string, error) {
	path := filepath.Join(dir, identityName)
	id, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeIdentity(path, rand.Text()); err == nil {
			id, err = readIdentity(path)
		}
	}
	if err != nil {
		return "", fmt.Errorf("the identity of the store in %s: %w: %w", dir, backend.ErrUnavailable, err)
	}
	return id, nil
}

func readIdentity(path string) (string, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the directory
	if err != nil {
		return "", err
	}
	id := bytes.TrimSpace(b)
	if len(id) == 0 || len(id) > identityMax || bytes.ContainsFunc(id, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7') // as rand.Text has them
	}) {
		return "", fmt.Errorf("%s: %w", path, errContent)
	}
	return string(id), nil
}

// makeIdentity writes an identity, unless somebody else does so first. It
// appears under its name only once it is complete, and on the disk.
func makeIdentity(path, id string) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), identityName+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, wrote := temp.WriteAt([]byte(id+"\n"), 0)
	if err := errors.Join(wrote, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	// Unlike a rename, it replaces nothing.
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := giveOver(filepath.Dir(path), identityName); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
