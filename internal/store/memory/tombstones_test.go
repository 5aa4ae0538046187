package memory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// buried counts the tombstones, and the places that they take.
func buried(s *Store) (tombs, places int) {
	for i := range s.shards {
		tombs += len(s.shards[i].tombs.until)
		places += len(s.shards[i].tombs.order)
	}
	return tombs, places
}

func TestTombstonesAreBounded(t *testing.T) {
	ctx, now := t.Context(), time.Now()

	t.Run("in number, the first being forgotten first", func(t *testing.T) {
		var ts tombs
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
		var ts tombs
		ts.set(1, 100, 4)
		for n := range int64(1000) {
			ts.lift(2)
			ts.set(2, 100+n, 4)
			require.LessOrEqual(t, len(ts.order), 8)
			require.True(t, ts.has(2, 99+n))
		}
		ts.sweep(99 + 1000)
		assert.Empty(t, ts.order)
		assert.Empty(t, ts.until)
	})

	t.Run("what was lifted stays lifted", func(t *testing.T) {
		var ts tombs
		ts.lift(1)
		ts.set(1, 100, 4)
		ts.lift(1)
		assert.False(t, ts.has(1, 0))
		ts.set(1, 200, 4)
		ts.sweep(100)
		assert.True(t, ts.has(1, 199), "the second of the key")
	})

	t.Run("by the limit of sessions", func(t *testing.T) {
		assert.InDelta(t, 100_000, tombLimit(1)*shardCount, shardCount)
		assert.InDelta(t, 400_000, tombLimit(100_000)*shardCount, shardCount)
		assert.Greater(t, tombLimit(0), tombLimit(1))
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
		tombs, places := buried(s)
		assert.Less(t, tombs, 2000)
		assert.Equal(t, tombs, places)
		now := now.Add(5 * time.Minute)
		_, err := s.Sweep(ctx, now)
		require.NoError(t, err)
		tombs, places = buried(s)
		assert.Zero(t, tombs)
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
		tombs, places := buried(s)
		assert.Zero(t, tombs+places)
	})
}
