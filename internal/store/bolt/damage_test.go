package bolt_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/bolt"
)

// pageSize is that of the files that the tests make.
func pageSize() int64 { return int64(os.Getpagesize()) }

// written returns a data file with some hundred sessions, and their number.
func written(t testing.TB) (file []byte, sessions int) {
	t.Helper()
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	const n = 400
	fill(t, s, n)
	require.NoError(t, s.Close())
	file, err = os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	return file, n
}

// directoryOf returns a directory with that data file.
func directoryOf(t testing.TB, file []byte) string {
	t.Helper()
	dir := scratch(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sessions.db"), file, 0o600))
	return dir
}

// A pipe in the place of the data file, at a start or later, keeps nobody waiting
// for its other end.
func TestDamage_pipe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sessions.db")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := bolt.Open(now, bolt.Options{Dir: dir})
	require.Error(t, err)

	require.NoError(t, os.Remove(path))
	s, err := bolt.Open(now, bolt.Options{Dir: dir})
	require.NoError(t, err)
	fill(t, s, 10)
	require.NoError(t, os.Remove(path))
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	fill(t, s, 10)
	require.NoError(t, s.Close())
	s, err = bolt.Open(now, bolt.Options{Dir: dir})
	require.NoError(t, err)
	st, err := s.Stats(t.Context(), now)
	require.NoError(t, err)
	assert.EqualValues(t, 20, st.Entries)
	require.NoError(t, s.Close())
}

func TestDamage_isRefused(t *testing.T) {
	file, _ := written(t)
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"something else": func(b []byte) []byte { return make([]byte, len(b)) },
		"both heads":     func(b []byte) []byte { b[20] ^= 1; b[pageSize()+20] ^= 1; return b },
		"cut off":        func(b []byte) []byte { return b[:len(b)/2] },
		"cut to heads":   func(b []byte) []byte { return b[:2*pageSize()] },
		"cut short":      func(b []byte) []byte { return b[:7] },
		"a letter of some documents": func(b []byte) []byte {
			for at := pageSize() / 2; at < int64(len(b)); at += pageSize() {
				if b[at] == 'x' {
					b[at] = 'y'
				}
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directoryOf(t, damage(append([]byte(nil), file...)))
			before, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
			require.NoError(t, err)
			_, err = bolt.Check(now, dir)
			require.ErrorIs(t, err, bolt.ErrDamaged)
			_, err = bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
			require.ErrorIs(t, err, bolt.ErrDamaged)
			require.ErrorContains(t, err, dir)
			after, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
			require.NoError(t, err)
			require.Equal(t, before, after, "nothing is written")

			to, err := bolt.MoveAside(now, dir)
			require.NoError(t, err)
			assert.Contains(t, to, filepath.Join(dir, "sessions.db.damaged-"))
			moved, err := os.ReadFile(to)
			require.NoError(t, err)
			require.Equal(t, before, moved)
			s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
			require.NoError(t, err)
			st, err := s.Stats(t.Context(), now)
			require.NoError(t, err)
			assert.Zero(t, st.Entries)
			require.NoError(t, s.Close())
		})
	}
}

// One head is always there: the other may have been half written.
func TestDamage_ofOneHead(t *testing.T) {
	file, sessions := written(t)
	for head := range int64(2) {
		b := append([]byte(nil), file...)
		b[head*pageSize()+20] ^= 1
		s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: directoryOf(t, b)})
		require.NoError(t, err)
		st, err := s.Stats(t.Context(), now)
		require.NoError(t, err)
		assert.InDelta(t, sessions, st.Entries, 256, "all, or all but the last transaction's")
		require.NoError(t, s.Close())
	}
}

// Whatever is wrong with a file, opening it neither panics nor takes forever,
// and what is loaded is what was written.
func TestDamage_anywhere(t *testing.T) {
	file, sessions := written(t)
	tries := soaktest.Times(50, 400)
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range tries {
		b := append([]byte(nil), file...)
		page := random.Int64N(int64(len(b))/pageSize()) * pageSize()
		switch at := page + random.Int64N(64); random.IntN(3) {
		case 0: // a bit of a page's head
			b[at] ^= 1 << random.IntN(8)
		case 1: // a number of a page's head
			binary.NativeEndian.PutUint32(b[at&^3:], random.Uint32())
		case 2: // a bit anywhere
			b[page+random.Int64N(pageSize())] ^= 1 << random.IntN(8)
		}
		began := time.Now()
		dir := directoryOf(t, b)
		s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
		require.Less(t, time.Since(began), patience)
		if err != nil {
			require.ErrorIs(t, err, bolt.ErrDamaged)
			refused++
			continue
		}
		st, err := s.Stats(t.Context(), now)
		require.NoError(t, err)
		require.LessOrEqual(t, st.Entries, int64(sessions))
		require.GreaterOrEqual(t, st.Entries, int64(sessions-256))
		require.NoError(t, s.Close())
	}
	require.Greater(t, refused, tries/4, "much of the file is in use")
}

func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(f, err)
	fill(f, s, 3)
	require.NoError(f, s.Close())
	file, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(f, err)
	f.Add(int64(0), []byte{1})
	f.Add(pageSize()*3, []byte{255, 255})
	f.Fuzz(func(t *testing.T, at int64, change []byte) {
		b := append([]byte(nil), file...)
		for i := range change {
			if to := at + int64(i); to >= 0 && to < int64(len(b)) {
				b[to] ^= change[i]
			}
		}
		dir := directoryOf(t, b)
		if _, err := bolt.Check(now, dir); err != nil {
			return
		}
		s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
		require.NoError(t, err, "what is in order can be opened")
		require.NoError(t, s.Close())
	})
}
