package memory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// tombstoneError counts the tombstones, and the places that they take.
func tombstoneError(s *Store) (tombstones, places int) {
	for i := range s.shards {
		tombstones += len(s.shards[i].tombstones.until)
		places += len(s.shards[i].tombstones.order)
	}
	return tombstones, places
}

func TestTombstonesAreBounded(t *testing.T) {
	ctx, now := t.Context(), time.Now()

	t.Run("in number, the first being forgotten first", func(t *testing.T) {
		var ts tombstones
		for n := range uint64(10) {
			ts.set(n, 100, 4)
			assert.LessOrEqual(t, len(ts.until), 4)
		}
		for n := range uint64(10) {
			assert.Equal(t, n >= 6, ts.has(n, 99), n)
			assert.False(t, ts.has(n, 100), n)
		}
	})

	t.Run("one key takes the place of one", func(t *testing.T) {
		var ts tombstones
		ts.set(1, 100, 4)
		for n := range int64(1000) {
			ts.clear(2)
			ts.set(2, 100+n, 4)
			require.LessOrEqual(t, len(ts.order), 8)
			require.True(t, ts.has(2, 99+n))
		}
		ts.sweep(99 + 1000)
		assert.Empty(t, ts.order)
		assert.Empty(t, ts.until)
	})

	t.Run("what was lifted stays lifted", func(t *testing.T) {
		var ts tombstones
		ts.clear(1)
		ts.set(1, 100, 4)
		ts.clear(1)
		assert.False(t, ts.has(1, 0))
		ts.set(1, 200, 4)
		ts.sweep(100)
		assert.True(t, ts.has(1, 199), "the second of the key")
	})

	t.Run("by the limit of sessions", func(t *testing.T) {
		assert.InDelta(t, 100_000, tombstoneLimit(1)*shardCount, shardCount)
		assert.InDelta(t, 400_000, tombstoneLimit(100_000)*shardCount, shardCount)
		assert.Greater(t, tombstoneLimit(0), tombstoneLimit(1))
	})

	t.Run("in time, whether swept or not", func(t *testing.T) {
		s := New(Options{Tombstone: time.Minute})
		end := func(at time.Time) {
			for range 1000 {
				sess := newSession(t, schema.DefaultNamespace, at)
				require.NoError(t, s.Create(ctx, at, sess))
				require.NoError(t, s.Delete(ctx, at, sess.Key(), 0))
			}
		}
		for n := range 5 {
			end(now.Add(time.Duration(n) * time.Minute))
		}
		tombstones, places := tombstoneError(s)
		assert.Less(t, tombstones, 2000)
		assert.Equal(t, tombstones, places)
		now := now.Add(5 * time.Minute)
		_, err := s.Sweep(ctx, now)
		require.NoError(t, err)
		tombstones, places = tombstoneError(s)
		assert.Zero(t, tombstones)
		assert.Zero(t, places)
	})

	t.Run("none are kept where they are not wanted", func(t *testing.T) {
		s := New(Options{})
		for range 100 {
			sess := newSession(t, schema.DefaultNamespace, now)
			require.NoError(t, s.Create(ctx, now, sess))
			next := sess.WithID(schema.NewID())
			require.NoError(t, s.Regenerate(ctx, now, sess, next, now))
			require.NoError(t, s.Delete(ctx, now, next.Key(), 0))
			require.NoError(t, s.Create(ctx, now, newSession(t, "shop", now)))
		}
		_, err := s.Clear(ctx, now, backend.Filter{Namespace: "shop"})
		require.NoError(t, err)
		tombstones, places := tombstoneError(s)
		assert.Zero(t, tombstones+places)
	})
}
