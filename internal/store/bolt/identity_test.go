package bolt_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/storetest"
)

func TestIdentity(t *testing.T) {
	top := t.TempDir()
	storetest.RunIdentity(t, false, func(t testing.TB, name string) backend.Store {
		t.Helper()
		s, err := bolt.Open(time.Now(), bolt.Options{CommitTimeout: patience, Dir: filepath.Join(top, name)})
		require.NoError(t, err)
		return s
	})
}

// Whoever comes first, a directory has one identity, and nothing is left over.
func TestIdentity_ofManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	ids := make([]string, 16)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			var err error
			ids[i], err = bolt.Identity(dir)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	for _, id := range ids {
		assert.Equal(t, ids[0], id)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

// One that is damaged is not taken for another, nor replaced.
func TestIdentity_damaged(t *testing.T) {
	for _, content := range []string{"", "\n", "an id that nobody made", "ABC\x00"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "store-id")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := bolt.Identity(dir)
		require.ErrorIs(t, err, backend.ErrUnavailable, "%q", content)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(left))
	}
	_, err := bolt.Identity(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, backend.ErrUnavailable)
}

// A directory that is moved away while a store writes to it gets the identity back
// with the sessions: files that they refer to are still theirs.
func TestIdentity_ofADirectoryThatIsMovedAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w := newWorld(t, dir, 0)
	id, err := w.Identity(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Rename(dir, dir+"2"))
	w.create()
	require.NoError(t, w.Close())
	again, err := bolt.Identity(dir)
	require.NoError(t, err)
	assert.Equal(t, id, again)
}
