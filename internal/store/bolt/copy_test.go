package bolt_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/bolt"
)

// pagesOf returns the pages of a file, each from the later or the earlier state.
func pagesOf(earlier, later []byte, upTo int64) []byte {
	mixed := append([]byte(nil), later...)
	copy(mixed[:min(upTo, int64(len(earlier)))], earlier)
	return mixed
}

// A copy that was made while the file was written is whole, as of some moment, or
// it is refused: it never passes with a part of what there was. What is whole in it
// can be saved.
func TestCopyOfARunningFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sessions.db")
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	first := fill(t, s, 400)
	refused, whole := 0, 0
	// What a copy meets is a matter of which pages are written: some rounds show both.
	for round := 0; round < soaktest.Times(2, 12) || (refused == 0 || whole == 0) && round < 50; round++ {
		was, err := os.Stat(path)
		require.NoError(t, err)
		earlier, err := os.ReadFile(path)
		require.NoError(t, err)
		for range 40 { // one transaction each, so that pages are used again
			require.NoError(t, s.Create(t.Context(), now, template(t).WithID(schema.NewID())))
		}
		later, err := os.ReadFile(path)
		require.NoError(t, err)
		if is, err := os.Stat(path); err != nil || !os.SameFile(was, is) {
			continue // it was written anew: whoever reads the one file gets nothing of the other
		}
		for upTo := pageSize(); upTo < int64(len(later)); upTo += int64(soaktest.Times(13, 7)) * pageSize() {
			image := pagesOf(earlier, later, upTo)
			copied := directoryOf(t, image)
			c, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: copied})
			if err != nil {
				refused++
				require.ErrorIs(t, err, bolt.ErrDamaged)
				_, saved := salvaged(t, image)
				require.Greater(t, len(saved), 300)
				continue
			}
			whole++
			require.Equal(t, len(first), live(t, c, now, first), "what was there before is there")
			require.NoError(t, c.Close())
		}
	}
	require.NoError(t, s.Close())
	assert.Positive(t, refused)
	assert.Positive(t, whole)
}
