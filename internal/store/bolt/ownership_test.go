package bolt_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/bolt"
)

func owner(info os.FileInfo) (uid, gid uint32) {
	s, _ := info.Sys().(*syscall.Stat_t)
	return s.Uid, s.Gid
}

// What root makes in a directory belongs to whom that belongs to.
func TestOwnership(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string){
		"a start": func(t *testing.T, dir string) {
			s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
			require.NoError(t, err)
			_, err = s.Identity(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.Close())
		},
		"a restore": func(t *testing.T, dir string) {
			require.NoError(t, bolt.Build(now, dir, func(to bolt.Sink) error { return to.Session(template(t)) }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chown(dir, 65532, 65531), "it takes root")
			make(t, dir)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.NotEmpty(t, entries)
			for _, e := range entries {
				info, err := os.Stat(filepath.Join(dir, e.Name()))
				require.NoError(t, err)
				uid, gid := owner(info)
				assert.Equal(t, []uint32{65532, 65531}, []uint32{uid, gid}, e.Name())
			}
		})
	}
}
