package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"session-api/internal/store/backend"
)

// States are files of the directory, one each: they change hardly ever, and are no part
// of a backup. The directory is this process's alone, so a mutex is enough to compare
// and swap.

// statePrefix begins the names of their files.
const statePrefix = "state-"

// LoadState implements backend.States.
func (s *Store) LoadState(_ context.Context, name string) ([]byte, error) {
	s.states.Lock()
	defer s.states.Unlock()
	return s.loadState(name)
}

// SwapState implements backend.States. The state is on the disk when it returns.
func (s *Store) SwapState(_ context.Context, name string, old, next []byte) error {
	s.states.Lock()
	defer s.states.Unlock()
	kept, err := s.loadState(name)
	switch {
	case err != nil:
		return err
	case (kept == nil) != (old == nil) || !bytes.Equal(kept, old):
		return backend.ErrConflict
	case s.readOnly:
		return fmt.Errorf("changing a state: %w: %w", backend.ErrReadOnly, errReadOnly)
	case next == nil && old == nil:
		return nil
	case next == nil:
		err = errors.Join(os.Remove(s.statePath(name)), syncDir(s.dir.path))
	default:
		err = replaceFile(s.dir.path, statePrefix+name, next)
	}
	if err != nil {
		return fmt.Errorf("changing a state: %w: %w", backend.ErrReadOnly, err)
	}
	return nil
}

func (s *Store) statePath(name string) string { return filepath.Join(s.dir.path, statePrefix+name) }

// loadState is LoadState, with the states locked.
func (s *Store) loadState(name string) ([]byte, error) {
	if !backend.ValidStateName(name) {
		return nil, fmt.Errorf("%w: a state's name is %q", backend.ErrUnavailable, name)
	}
	state, err := os.ReadFile(s.statePath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a state: %w: %w", backend.ErrUnavailable, err)
	}
	return state, nil
}

// replaceFile writes a file of a directory so that it has either its old content or its
// new one, whatever happens meanwhile.
func replaceFile(dir, name string, content []byte) (err error) {
	temp, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, wrote := temp.Write(content)
	if err := errors.Join(wrote, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := giveOver(dir, filepath.Base(temp.Name())); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}
