package bolt_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
)

// salvaged saves what it can of a file.
func salvaged(t *testing.T, file []byte) (bolt.Salvaged, map[backend.Key]schema.Session) {
	t.Helper()
	dir := directoryOf(t, file)
	saved := map[backend.Key]schema.Session{}
	found, err := bolt.Salvage(now, dir, bolt.Sink{Session: func(sess schema.Session) error {
		saved[sess.Key()] = sess
		return nil
	}})
	require.NoError(t, err)
	require.Len(t, saved, found.Sessions)
	after, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	require.Equal(t, file, after, "nothing is written")
	return found, saved
}

// aFile returns a data file of sessions, some of which were changed or ended.
func aFile(t *testing.T) (file []byte, kept map[backend.Key]schema.Session, ended []backend.Key) {
	t.Helper()
	w := newWorld(t, t.TempDir(), time.Hour)
	for _, sess := range fill(t, w, 800) {
		w.held[sess.Key()] = sess
	}
	require.NoError(t, w.Close())
	w.o.Interval = 0
	w.open()
	n := 0
	for key, sess := range w.held {
		switch n++; {
		case n%20 == 0:
			w.end(sess)
		case n%15 == 0:
			next, err := w.Swap(t.Context(), now, sess, changed(sess))
			require.NoError(t, err)
			w.held[key] = next
		}
	}
	require.NoError(t, w.Close())
	file, err := os.ReadFile(filepath.Join(w.dir, "sessions.db"))
	require.NoError(t, err)
	return file, w.held, w.ended
}

func TestSalvage_wholeFile(t *testing.T) {
	file, kept, ended := aFile(t)
	found, saved := salvaged(t, file)
	assert.Len(t, saved, len(kept))
	assert.False(t, found.Heads)
	for key, sess := range kept {
		assert.Equal(t, sess.Doc, saved[key].Doc)
	}
	for _, key := range ended {
		assert.NotContains(t, saved, key)
	}
}

// One bit costs what is on its page, and no more.
func TestSalvage_oneBit(t *testing.T) {
	file, kept, ended := aFile(t)
	random := rand.New(rand.NewPCG(3, 4))
	refused := 0
	tries := soaktest.Times(20, 60)
	for range tries {
		b := append([]byte(nil), file...)
		at := 2*pageSize() + random.Int64N(int64(len(b))-2*pageSize())
		b[at] ^= 1 << random.IntN(8)
		_, err := bolt.Check(now, directoryOf(t, b))
		if err == nil {
			continue // a page that is free
		}
		refused++
		_, saved := salvaged(t, b)
		same := 0
		for key, sess := range kept {
			if got, ok := saved[key]; ok && bytes.Equal(got.Doc, sess.Doc) {
				same++
			}
		}
		require.Greater(t, same, len(kept)-30, "byte %d", at)
		revived := 0
		for _, key := range ended {
			if _, ok := saved[key]; ok {
				revived++
			}
		}
		require.LessOrEqual(t, revived, 30)
	}
	require.Greater(t, refused, tries/6, "much of the file is in use")
}

func TestSalvage_lostHeadsAndRoot(t *testing.T) {
	file, kept, _ := aFile(t)
	b := append([]byte(nil), file...)
	clear(b[:2*pageSize()])
	found, saved := salvaged(t, b)
	assert.True(t, found.Heads)
	assert.GreaterOrEqual(t, len(saved), len(kept), "and perhaps some that were ended")
	for key, sess := range kept {
		require.Equal(t, sess.Doc, saved[key].Doc)
	}
	found, saved = salvaged(t, b[:2*pageSize()])
	assert.Zero(t, found.Sessions)
	assert.Empty(t, saved)
}

func TestSalvage_andBuild(t *testing.T) {
	file, kept, _ := aFile(t)
	_, saved := salvaged(t, file)
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, bolt.Build(now, dir, func(to bolt.Sink) error {
		for _, sess := range saved {
			if err := to.Session(sess); err != nil {
				return err
			}
		}
		return nil
	}))
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	for key, sess := range kept {
		got, err := s.Peek(t.Context(), now, key)
		require.NoError(t, err)
		require.Equal(t, sess.ETag(), got.ETag())
	}
	require.NoError(t, s.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.NotContains(t, e.Name(), "building")
	}
	require.ErrorIs(t, bolt.Build(now, dir, func(bolt.Sink) error { return nil }), bolt.ErrHasData)
}

// What cannot be filled to its end leaves nothing behind.
func TestBuild_fails(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, bolt.Build(now, dir, func(to bolt.Sink) error {
		require.NoError(t, to.Session(template(t)))
		return os.ErrInvalid
	}), os.ErrInvalid)
	require.NoFileExists(t, filepath.Join(dir, "sessions.db"))
	_, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir, Existing: true})
	require.ErrorIs(t, err, bolt.ErrNoData)
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	o := bolt.Options{CommitTimeout: patience, Dir: dir}
	s, err := bolt.Open(now, o)
	require.NoError(t, err)
	_, err = bolt.Compact(now, dir)
	require.ErrorIs(t, err, bolt.ErrInUse)
	all := fill(t, s, 3000)
	endAll(t, s, all[:2000])
	old := all[2999]
	next := old.WithID(schema.NewID())
	require.NoError(t, s.Regenerate(t.Context(), now, old, next, now.Add(time.Minute)))
	all[2999] = next
	require.NoError(t, s.Close())
	path := filepath.Join(dir, "sessions.db")
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, os.Chown(path, 65532, 65531), "it takes root, as whoever compacts often is")

	report, err := bolt.Check(now, dir)
	require.NoError(t, err)
	done, err := bolt.Compact(now, dir)
	require.NoError(t, err)
	assert.Less(t, done.After, done.Before/2)
	assert.InEpsilon(t, report.Compacted, done.After, 0.2, "check has said so")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, done.After, info.Size())
	assert.EqualValues(t, 0o640, info.Mode().Perm())
	uid, gid := owner(info)
	assert.Equal(t, []uint32{65532, 65531}, []uint32{uid, gid})

	s, err = bolt.Open(now, o)
	require.NoError(t, err)
	assert.Equal(t, 1000, live(t, s, now, all[2000:]))
	led, err := s.Peek(t.Context(), now, old.Key())
	require.NoError(t, err)
	assert.Equal(t, next.ID, led.ID, "graces are kept")
	assert.Zero(t, live(t, s, now, all[:2000]))
	require.NoError(t, s.Close())
}
