package bolt_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

func TestStart_saysWhatItFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var log bytes.Buffer
	o := bolt.Options{CommitTimeout: patience, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s, err := bolt.Open(now, o)
	require.NoError(t, err)
	assert.Contains(t, log.String(), "new data file made")
	assert.NotContains(t, log.String(), "sessions loaded")
	fill(t, s, 20)
	require.NoError(t, s.Close())
	log.Reset()
	s, err = bolt.Open(now, o)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.NotContains(t, log.String(), "new data file made")
	assert.Regexp(t, `msg="sessions loaded" sessions=20 bytes=\d+ expired=0 heldBack=0 fileBytes=\d+ lastWritten=\S+ took=\S+ file=`+dir, log.String())
}

// A directory that is not the one that was meant is not taken for a new one.
func TestStart_existing(t *testing.T) {
	parent := t.TempDir()
	for name, dir := range map[string]string{"empty": t.TempDir(), "none": filepath.Join(parent, "none")} {
		t.Run(name, func(t *testing.T) {
			_, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir, Existing: true})
			require.ErrorIs(t, err, bolt.ErrNoData)
			entries, err := os.ReadDir(dir)
			if name == "none" {
				require.ErrorIs(t, err, fs.ErrNotExist)
			}
			require.Empty(t, entries, "nothing is made")
		})
	}
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir, Existing: true})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestStart_makesNoParents(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "volume")
	_, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: filepath.Join(parent, "data")})
	require.ErrorContains(t, err, "a volume that is not mounted")
	require.NoDirExists(t, parent)
}

// readOnlyMount mounts a directory once more, so that nothing can be written to it.
func readOnlyMount(t *testing.T, dir string) string {
	t.Helper()
	at := t.TempDir()
	require.NoError(t, syscall.Mount(dir, at, "", syscall.MS_BIND, ""), "mounting takes the right to mount")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(at, 0)) })
	require.NoError(t, syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	return at
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	all := fill(t, s, 100)
	id, err := s.Identity(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, id)

	_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir, ReadOnly: true})
	require.ErrorIs(t, err, bolt.ErrInUse, "nobody reads what somebody writes")
	require.NoError(t, s.Close())
	at := readOnlyMount(t, dir)
	require.ErrorIs(t, os.WriteFile(filepath.Join(at, "x"), nil, 0o600), syscall.EROFS)
	_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: at})
	require.ErrorIs(t, err, syscall.EROFS)
	_, err = bolt.Check(now, at)
	require.NoError(t, err)

	o := bolt.Options{CommitTimeout: patience, Dir: at, ReadOnly: true, Memory: memory.Options{MaxEntries: 10, Policy: memory.LRU}}
	r, err := bolt.Open(now, o)
	require.NoError(t, err)
	other, err := bolt.Open(now, o)
	require.NoError(t, err, "any number may read")
	require.NoError(t, other.Close())
	assert.Equal(t, 100, live(t, r, now, all), "whatever the limits")
	_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.ErrorIs(t, err, bolt.ErrInUse, "and nobody writes meanwhile")

	ctx := t.Context()
	got, err := r.Get(ctx, now, all[0].Key())
	require.NoError(t, err)
	require.ErrorIs(t, r.Create(ctx, now, template(t)), backend.ErrReadOnly)
	_, err = r.Swap(ctx, now, got, got)
	require.ErrorIs(t, err, backend.ErrReadOnly)
	_, err = r.Touch(ctx, now, got.Key(), now.Add(time.Hour))
	require.ErrorIs(t, err, backend.ErrReadOnly)
	require.ErrorIs(t, r.Regenerate(ctx, now, got, got.WithID("another-session-id"), now), backend.ErrReadOnly)
	require.ErrorIs(t, r.Delete(ctx, now, got.Key(), 0), backend.ErrReadOnly)
	_, err = r.Clear(ctx, now, backend.Filter{Namespace: got.Namespace})
	require.ErrorIs(t, err, backend.ErrReadOnly)
	_, err = r.Identity(ctx)
	require.ErrorIs(t, err, backend.ErrUnavailable, "it may be a copy, by which nobody should clean")
	require.NoError(t, r.Close())

	_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: t.TempDir(), ReadOnly: true})
	require.ErrorIs(t, err, bolt.ErrNoData)
}
