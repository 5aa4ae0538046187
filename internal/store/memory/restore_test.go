package memory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// heard is a store whose events are noted.
func heard(opts memory.Options) (s *memory.Store, events *[]backend.Event) {
	events = new([]backend.Event)
	opts.OnEvent = func(ev backend.Event) { *events = append(*events, ev) }
	return memory.New(opts), events
}

func stats(t *testing.T, s backend.Store) backend.Stats {
	t.Helper()
	st, err := s.Stats(t.Context(), now)
	require.NoError(t, err)
	return st
}

func TestRestore(t *testing.T) {
	ctx := t.Context()

	t.Run("a session as it was, and nothing happened", func(t *testing.T) {
		s, events := heard(memory.Options{})
		sess := template(t, "ada")
		sess.Revision, sess.OwnTTL, sess.Files = 7, time.Hour, []string{"a"}
		require.NoError(t, s.Restore(now, sess))
		got, err := s.Peek(ctx, now, sess.Key())
		require.NoError(t, err)
		assert.Equal(t, sess, got)
		assert.Empty(t, *events)
		st := stats(t, s)
		assert.EqualValues(t, 1, st.Entries)
		assert.Positive(t, st.Bytes)
		st.Entries, st.Bytes = 0, 0
		assert.Equal(t, backend.Stats{}, st)

		page, err := s.List(ctx, now, backend.Query{Namespace: sess.Namespace, UserID: "ada", Limit: 10})
		require.NoError(t, err)
		assert.Equal(t, []schema.Session{sess}, page.Sessions)
		has, err := s.HasFile(ctx, now, "a")
		require.NoError(t, err)
		assert.True(t, has)
		require.ErrorIs(t, s.Restore(now, sess), backend.ErrExists)
	})

	t.Run("whatever tombstone there is", func(t *testing.T) {
		s, _ := heard(memory.Options{Tombstone: time.Minute})
		sess := template(t, "")
		s.RestoreTombstone(sess.Key(), now.Add(time.Minute))
		require.ErrorIs(t, s.Create(ctx, now, sess), backend.ErrEnded)
		require.NoError(t, s.Restore(now, sess))
		s.RestoreTombstone(sess.Key(), now.Add(2*time.Hour))
		_, err := s.Get(ctx, now, sess.Key())
		require.NoError(t, err)
		sess.ExpiresAt = now.Add(2 * time.Hour)
		late := sess.ExpiresAt.Add(time.Minute)
		require.ErrorIs(t, s.Create(ctx, now.Add(time.Hour), sess), backend.ErrLapsed, "expired, not ended")
		sess.ExpiresAt = late.Add(time.Hour)
		require.NoError(t, s.Create(ctx, late, sess))
	})

	t.Run("what expired meanwhile expires", func(t *testing.T) {
		s, events := heard(memory.Options{})
		sess := template(t, "ada")
		require.NoError(t, s.Restore(sess.ExpiresAt, sess))
		n, err := s.Sweep(ctx, sess.ExpiresAt)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		_, err = s.Get(ctx, sess.ExpiresAt, sess.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
		assert.Equal(t, []backend.Event{{
			Type: backend.EventExpired, At: sess.ExpiresAt, Session: sess.Key(), UserID: "ada", Revision: 1,
		}}, *events)
	})

	t.Run("less room than before", func(t *testing.T) {
		s, events := heard(memory.Options{Policy: memory.LRU, MaxEntries: 2, Tombstone: time.Minute})
		sessions := []schema.Session{template(t, "ada"), template(t, "bob"), template(t, "cy")}
		for _, sess := range sessions {
			require.NoError(t, s.Restore(now, sess))
		}
		assert.Equal(t, []backend.Event{{
			Type: backend.EventEvicted, At: now, Session: sessions[0].Key(), UserID: "ada", Revision: 1,
		}}, *events, "the first came first")
		s, events = heard(memory.Options{Policy: memory.None, MaxEntries: 2})
		for i, sess := range sessions {
			err := s.Restore(now, sess)
			if i < 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, backend.ErrFull)
			}
		}
		assert.Empty(t, *events)
	})

	t.Run("no document of the session", func(t *testing.T) {
		s, _ := heard(memory.Options{})
		sess := template(t, "")
		sess.ID = schema.NewID()
		require.ErrorIs(t, s.Restore(now, sess), backend.ErrUnavailable)
	})
}

func TestRestoreGrace(t *testing.T) {
	ctx := t.Context()
	old := backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()}
	until := now.Add(time.Minute)

	t.Run("the old key leads to the successor", func(t *testing.T) {
		s, events := heard(memory.Options{Tombstone: 2 * time.Minute})
		next := template(t, "")
		require.NoError(t, s.Restore(now, next))
		s.RestoreGrace(old, next.Key(), until)
		s.RestoreTombstone(old, now.Add(2*time.Minute))
		got, err := s.Get(ctx, until.Add(-time.Millisecond), old)
		require.NoError(t, err)
		assert.Equal(t, next.ID, got.ID)
		_, err = s.Get(ctx, until, old)
		require.ErrorIs(t, err, backend.ErrNotFound)

		late := next.WithID(old.ID)
		require.ErrorIs(t, s.Create(ctx, until, late), backend.ErrEnded)
		require.NoError(t, s.Create(ctx, now.Add(2*time.Minute), late))
		assert.Len(t, *events, 1)
	})

	t.Run("until the successor ends", func(t *testing.T) {
		s, _ := heard(memory.Options{})
		next := template(t, "")
		require.NoError(t, s.Restore(now, next))
		s.RestoreGrace(old, next.Key(), until)
		require.NoError(t, s.Delete(ctx, now, next.Key(), 0))
		_, err := s.Get(ctx, now, old)
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("only between what there is and what there is not", func(t *testing.T) {
		s, _ := heard(memory.Options{})
		taken, other := template(t, ""), template(t, "")
		s.RestoreGrace(old, taken.Key(), until)
		require.NoError(t, s.Restore(now, taken))
		require.NoError(t, s.Restore(now, other))
		_, err := s.Get(ctx, now, old)
		require.ErrorIs(t, err, backend.ErrNotFound, "there was no successor")
		s.RestoreGrace(other.Key(), other.Key(), until)
		s.RestoreGrace(taken.Key(), other.Key(), until)
		require.NoError(t, s.Delete(ctx, now, taken.Key(), 0))
		_, err = s.Get(ctx, now, taken.Key())
		require.ErrorIs(t, err, backend.ErrNotFound, "the old key had a session")
	})
}

func TestRestoredTombstonesLastAsLongAsTheySay(t *testing.T) {
	s, _ := heard(memory.Options{Tombstone: time.Minute})
	sess := template(t, "")
	until := now.Add(10 * time.Minute)
	s.RestoreTombstone(sess.Key(), until)
	require.ErrorIs(t, s.Create(t.Context(), until.Add(-time.Millisecond), sess), backend.ErrEnded)
	require.NoError(t, s.Create(t.Context(), until, sess))
}
