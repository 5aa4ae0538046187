package bolt_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"session-api/internal/store/bolt"
)

// stamp gives a data file another version; 1 has no number.
func stamp(t *testing.T, dir string, version byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "sessions.db"), 0o600, nil)
	require.NoError(t, err)
	value := []byte{1, version}
	if version == 1 {
		value = value[:1]
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	value = binary.BigEndian.AppendUint32(value, crc32.Update(crc32.Checksum([]byte("format"), table), table, value))
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), value) }))
	require.NoError(t, db.Close())
}

func TestVersion_newer(t *testing.T) {
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	stamp(t, dir, 6)
	before, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.ErrorIs(t, err, bolt.ErrNewer)
	require.NotErrorIs(t, err, bolt.ErrDamaged, "it must not be put aside")
	require.ErrorContains(t, err, "format is 6, and this one reads up to 5")
	_, err = bolt.Check(now, dir)
	require.ErrorIs(t, err, bolt.ErrNewer)
	_, err = bolt.Compact(now, dir)
	require.ErrorIs(t, err, bolt.ErrNewer)
	after, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A file of an earlier version is upgraded, and kept as it was until this version
// has stopped once without a failure.
func TestVersion_older(t *testing.T) {
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	all := fill(t, s, 50)
	require.NoError(t, s.Close())
	stamp(t, dir, 4)
	before, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	kept := filepath.Join(dir, "sessions.db.before-upgrade")

	s, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	copied, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.Equal(t, before, copied)
	// A process that is killed leaves it, and the next one does not replace it.
	crashed := t.TempDir()
	for _, name := range []string{"sessions.db", "sessions.db.before-upgrade"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(crashed, name), b, 0o600))
	}
	require.NoError(t, s.Close())
	require.NoFileExists(t, kept)
	report, err := bolt.Check(now, dir)
	require.NoError(t, err)
	assert.Equal(t, 5, report.Version)

	s, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: crashed})
	require.NoError(t, err)
	assert.Equal(t, 50, live(t, s, now, all))
	copied, err = os.ReadFile(filepath.Join(crashed, "sessions.db.before-upgrade"))
	require.NoError(t, err)
	require.Equal(t, before, copied)
	require.NoError(t, s.Close())
	require.NoFileExists(t, filepath.Join(crashed, "sessions.db.before-upgrade"))
}
