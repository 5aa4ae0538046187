package bolt_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// aheadOf is a clock that is ahead of the test's, past every deadline.
var aheadOf = now.Add(100 * 24 * time.Hour)

// wrongClock opens a directory of n sessions with a clock that is ahead.
func wrongClock(t *testing.T, dir string, n int) (*bolt.Store, []schema.Session, *bytes.Buffer) {
	t.Helper()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	all := fill(t, s, n)
	require.NoError(t, s.Close())
	log := new(bytes.Buffer)
	s, err = bolt.Open(aheadOf, bolt.Options{CommitTimeout: patience, Dir: dir, Logger: slog.New(slog.NewTextHandler(log, nil)), Memory: memory.Options{Tombstone: time.Hour}})
	require.NoError(t, err)
	assert.Equal(t, n, s.HeldBack())
	st, err := s.Stats(t.Context(), aheadOf)
	require.NoError(t, err)
	assert.Zero(t, st.Entries, "what has expired is absent")
	return s, all, log
}

func live(t *testing.T, s backend.Store, at time.Time, all []schema.Session) (n int) {
	t.Helper()
	for i := range all {
		if got, err := s.Peek(t.Context(), at, all[i].Key()); err == nil {
			require.Equal(t, all[i].Doc, got.Doc)
			require.True(t, all[i].ExpiresAt.Equal(got.ExpiresAt))
			n++
		} else {
			require.ErrorIs(t, err, backend.ErrNotFound)
		}
	}
	return n
}

func TestHold_clockSetBack(t *testing.T) {
	dir := t.TempDir()
	s, all, log := wrongClock(t, dir, 300)
	assert.Contains(t, log.String(), "expired=300 heldBack=300")
	assert.Contains(t, log.String(), "lastWritten=")
	assert.Contains(t, log.String(), "if the clock is ahead, set it back")
	// What others do meanwhile, collecting and expiry included, takes nothing away.
	for range 3 {
		_, err := s.Sweep(t.Context(), aheadOf)
		require.NoError(t, err)
		fresh := template(t).WithID(schema.NewID())
		fresh.ExpiresAt = aheadOf.Add(time.Hour)
		require.NoError(t, s.Create(t.Context(), aheadOf, fresh))
	}
	assert.Zero(t, live(t, s, aheadOf, all))
	s.LookAtClocks(aheadOf.Add(4*time.Minute), 4*time.Minute)
	assert.Equal(t, 300, s.HeldBack())
	s.LookAtClocks(now.Add(5*time.Minute), 5*time.Minute)
	assert.Zero(t, s.HeldBack())
	assert.Equal(t, 300, live(t, s, now.Add(5*time.Minute), all))
	assert.Contains(t, log.String(), "the clock was set back")
	require.NoError(t, s.Close())

	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	assert.Equal(t, 300, live(t, s, now, all), "and after the next start")
	require.NoError(t, s.Close())
}

// A process that ends before the clock is proven has ended nobody's session.
func TestHold_processEndsBefore(t *testing.T) {
	dir := t.TempDir()
	s, all, _ := wrongClock(t, dir, 100)
	require.NoError(t, s.Close())
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	assert.Equal(t, 100, live(t, s, now, all))
	require.NoError(t, s.Close())
}

func TestHold_clockIsProven(t *testing.T) {
	dir := t.TempDir()
	s, all, log := wrongClock(t, dir, 100)
	// The proof begins anew where the clock is set, forward or back.
	later := aheadOf.Add(time.Hour)
	s.LookAtClocks(later, 4*time.Minute)
	s.LookAtClocks(later.Add(4*time.Minute), 8*time.Minute)
	require.Equal(t, 100, s.HeldBack())
	s.LookAtClocks(later.Add(5*time.Minute), 9*time.Minute)
	require.Zero(t, s.HeldBack())
	assert.Contains(t, log.String(), "the clock has gone well")
	require.NoError(t, s.Close())
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	assert.Zero(t, live(t, s, now, all), "what was seen to be over stays so")
	require.NoError(t, s.Close())
}

// What is ended or made anew meanwhile is not brought back.
func TestHold_endedMeanwhile(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *bolt.Store, sess schema.Session){
		"deleted": func(t *testing.T, s *bolt.Store, sess schema.Session) {
			require.ErrorIs(t, s.Delete(t.Context(), aheadOf, sess.Key(), 0), backend.ErrNotFound)
		},
		"cleared": func(t *testing.T, s *bolt.Store, sess schema.Session) {
			_, err := s.Clear(t.Context(), aheadOf, backend.Filter{Namespace: sess.Namespace})
			require.NoError(t, err)
		},
		"made anew, and deleted": func(t *testing.T, s *bolt.Store, sess schema.Session) {
			anew := sess
			anew.ExpiresAt = aheadOf.Add(time.Hour)
			require.NoError(t, s.Create(t.Context(), aheadOf, anew, backend.Revive))
			require.NoError(t, s.Delete(t.Context(), aheadOf, sess.Key(), 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, all, _ := wrongClock(t, dir, 1)
			end(t, s, all[0])
			assert.Zero(t, s.HeldBack())
			s.LookAtClocks(now, time.Minute)
			assert.Zero(t, live(t, s, now, all))
			require.NoError(t, s.Close())
			s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
			require.NoError(t, err)
			assert.Zero(t, live(t, s, now, all))
			require.NoError(t, s.Close())
		})
	}
}

// Reading a directory ends nothing, whatever the clock says.
func TestHold_readingWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir})
	require.NoError(t, err)
	fill(t, s, 50)
	require.NoError(t, s.Close())
	path := filepath.Join(dir, "sessions.db")
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	_, err = bolt.Check(aheadOf, dir)
	require.NoError(t, err)
	var log bytes.Buffer
	r, err := bolt.Open(aheadOf, bolt.Options{CommitTimeout: patience, Dir: dir, ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	_, err = r.Sweep(t.Context(), aheadOf)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	assert.Contains(t, log.String(), "is the clock right?")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
