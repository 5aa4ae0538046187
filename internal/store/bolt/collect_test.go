package bolt

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// opened opens a store where that is possible in memory: none of this is about
// disks.
func opened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(midnight, Options{Dir: dir, CommitTimeout: time.Minute, Memory: memory.Options{Tombstone: time.Hour}})
	require.NoError(t, err)
	return s
}

func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bolt-test-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// A log that begins with much that still counts is collected bit by bit where a
// second file has no room: who changes a session meanwhile does not wait for all of
// it.
func TestCollecting_bitByBit(t *testing.T) {
	const size = 200_000
	s := opened(t, inMemory(t))
	s.within(t, func() { s.committer.noRewriteBefore = 1 << 62 })
	sections := schema.EmptySections()
	sections.Inputs = jsontext.Value(`{"spec":"` + strings.Repeat("x", size) + `"}`)
	var sess schema.Session
	for range 60 {
		var err error
		sess, err = new(schema.Rules).Build(made(t), sections)
		require.NoError(t, err)
		require.NoError(t, s.Create(t.Context(), midnight, sess))
	}
	var most, sum int64
	for sum < 100*size {
		require.NoError(t, s.revised(t.Context(), &sess))
		done := make(chan error, 1)
		s.queue.put(&operation{
			write: func(w *writer) error {
				most, sum = max(most, w.dropped), sum+w.dropped
				return nil
			},
			apply: func() error { return nil },
			done:  done,
		})
		require.NoError(t, <-done)
	}
	require.NoError(t, s.Close())
	assert.Less(t, most, int64(2*size+compactStep+2*size), "in one transaction")
	assert.Less(t, s.committer.logBytes, int64(80<<20))
}

// within calls a function on the committer's goroutine.
func (s *Store) within(t *testing.T, call func()) {
	t.Helper()
	done := make(chan error, 1)
	s.queue.put(&operation{
		write: func(*writer) error { call(); return nil },
		apply: func() error { return nil },
		done:  done,
	})
	require.NoError(t, <-done)
}

// What of the log are tombstones is known, whatever has become of their keys:
// they count.
func TestBuried(t *testing.T) {
	dir := inMemory(t)
	s := opened(t, dir)
	for n := range 20 {
		sess := s.created(t)
		require.NoError(t, s.Delete(t.Context(), midnight, sess.Key(), 0))
		if n%2 == 0 {
			require.NoError(t, s.Create(t.Context(), midnight, sess, backend.Revive))
		}
		if n%4 == 0 {
			require.NoError(t, s.Regenerate(t.Context(), midnight, sess, sess.WithID(schema.NewID()), midnight))
		}
	}
	require.NoError(t, s.Close())
	buried := s.committer.tombstones.bytes
	one := made(t)
	assert.Equal(t, 15*tombstoneBytes(one.Key()), buried)
	s = opened(t, dir)
	require.NoError(t, s.Close())
	assert.Equal(t, buried, s.committer.tombstones.bytes)
}

// What counts survives being collected in place, however often.
func TestCollecting_again(t *testing.T) {
	dir := inMemory(t)
	s := opened(t, dir)
	var ended, live []schema.Session
	requests, forgotten := map[backend.RequestKey]backend.Request{}, []backend.RequestKey{}
	for n := range 400 {
		key, r := backend.RequestKey{byte(n >> 8), byte(n)}, backend.Request{Lease: midnight.Add(time.Minute), ExpiresAt: midnight.Add(time.Hour)}
		_, begun, err := s.BeginRequest(t.Context(), midnight, key, r)
		require.NoError(t, err)
		require.True(t, begun)
		if n%3 == 0 {
			require.NoError(t, s.AbandonRequest(t.Context(), midnight, key, r.Lease, true))
			forgotten = append(forgotten, key)
		} else {
			r.Answer = []byte{byte(n)}
			require.NoError(t, s.AnswerRequest(t.Context(), midnight, key, r))
			requests[key] = r
		}
		sess := s.created(t)
		switch n % 4 {
		case 0:
			require.NoError(t, s.Delete(t.Context(), midnight, sess.Key(), 0))
			ended = append(ended, sess)
		case 1:
			next := sess.WithID(schema.NewID())
			require.NoError(t, s.Regenerate(t.Context(), midnight, sess, next, midnight))
			ended, live = append(ended, sess), append(live, next)
		default:
			live = append(live, sess)
		}
		if n%10 == 0 {
			s.within(t, s.committer.startPass)
		}
	}
	require.NoError(t, s.Close())
	s = opened(t, dir)
	for _, sess := range live {
		_, err := s.Peek(t.Context(), midnight, sess.Key())
		require.NoError(t, err)
	}
	for i, sess := range ended {
		require.ErrorIs(t, s.Create(t.Context(), midnight, sess), backend.ErrEnded, i)
	}
	for key, want := range requests {
		got, ok := s.Request(midnight, key)
		require.True(t, ok)
		require.Equal(t, want.Answer, got.Answer)
	}
	for _, key := range forgotten {
		_, ok := s.Request(midnight, key)
		require.False(t, ok)
	}
	require.NoError(t, s.Close())
	report, err := Check(midnight, dir)
	require.NoError(t, err)
	assert.Less(t, report.Entries, int64(len(live)+len(ended)+len(requests)+200), "and little that does not count is left")
}
