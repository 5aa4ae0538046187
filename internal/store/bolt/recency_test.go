package bolt_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/bolt"
)

// who are the numbers of the sessions that are still there.
func who(t *testing.T, s *bolt.Store, sessions []schema.Session) []int {
	t.Helper()
	var left []int
	for i := range sessions {
		if _, err := s.Peek(t.Context(), now, sessions[i].Key()); err == nil {
			left = append(left, i)
		}
	}
	return left
}

// someUsed creates six sessions: 0 and 5 are not used again, 1 is read last, 2 has
// a user, 3 is changed, 4 is touched.
func someUsed(t *testing.T, w *world) []schema.Session {
	t.Helper()
	ctx := t.Context()
	sessions := make([]schema.Session, 6)
	for i := range sessions {
		sections := schema.EmptySections()
		if i == 2 {
			sections.User = &schema.User{ID: "ada"}
		}
		sess, err := new(schema.Rules).Build(template(t).WithID(schema.NewID()), sections)
		require.NoError(t, err)
		sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt = now, now, now.Add(sess.TTL)
		require.NoError(t, w.Create(ctx, now, sess))
		sessions[i] = sess
	}
	later := now.Add(time.Minute)
	next := changed(sessions[3])
	next.UpdatedAt = later
	_, err := w.Swap(ctx, later, sessions[3], next)
	require.NoError(t, err)
	later = later.Add(time.Minute)
	_, err = w.Touch(ctx, later, sessions[4].Key(), later.Add(sessions[4].TTL))
	require.NoError(t, err)
	_, err = w.Get(ctx, later, sessions[1].Key())
	require.NoError(t, err)
	return sessions
}

// requireOrder checks in which order sessions give way.
func requireOrder(t *testing.T, s *bolt.Store, sessions []schema.Session, order []int) {
	t.Helper()
	left := map[int]bool{}
	for _, i := range order {
		left[i] = true
	}
	for _, next := range order {
		sections := schema.EmptySections()
		sections.User = &schema.User{ID: "bob"}
		sess, err := new(schema.Rules).Build(template(t).WithID(schema.NewID()), sections)
		require.NoError(t, err)
		require.NoError(t, s.Create(t.Context(), now, sess))
		delete(left, next)
		kept := who(t, s, sessions)
		require.Len(t, kept, len(left), "after %d", next)
		for _, i := range kept {
			require.True(t, left[i], "%d goes before %d", next, i)
		}
	}
}

func TestRestart_orderOfUses(t *testing.T) {
	t.Run("all of it, where the store was closed", func(t *testing.T) {
		for name, interval := range map[string]time.Duration{"always": 0, "interval": time.Hour} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, scratch(t), interval)
				sessions := someUsed(t, w)
				w.o.Memory.MaxEntries = len(sessions)
				w.reopen()
				w.reopen() // what one start knows, the next one does
				requireOrder(t, w.Store, sessions, []int{0, 5, 3, 4, 1, 2})
				require.NoError(t, w.Close())
			})
		}
	})

	t.Run("with lower limits, which end nobody at a start", func(t *testing.T) {
		w := newWorld(t, scratch(t), 0)
		sessions := someUsed(t, w)
		w.o.Memory.MaxEntries = 3
		w.reopen()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5}, who(t, w.Store, sessions))
		require.NoError(t, w.Close())
	})

	t.Run("what was written later was used later", func(t *testing.T) {
		w := newWorld(t, scratch(t), 0)
		sessions := someUsed(t, w)
		w.reopen()
		_, err := w.Swap(t.Context(), now, sessions[0], changed(sessions[0]))
		require.NoError(t, err)
		sessions = append(sessions, w.create())
		w.crash()
		w.o.Memory.MaxEntries = len(sessions)
		w.open()
		requireOrder(t, w.Store, sessions, []int{5, 6, 3, 4, 1, 0, 2})
		require.NoError(t, w.Close())
	})

	t.Run("what deadlines tell, after a crash", func(t *testing.T) {
		w := newWorld(t, scratch(t), 0)
		sessions := someUsed(t, w)
		w.crash()
		w.o.Memory.MaxEntries = len(sessions)
		w.open()
		requireOrder(t, w.Store, sessions, []int{0, 1, 5, 3, 4, 2})
		require.NoError(t, w.Close())
	})
}

// crash leaves the directory as it is now, as a process that is killed does.
func (w *world) crash() {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, "sessions.db"))
	require.NoError(w.t, err)
	require.NoError(w.t, w.Close())
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "sessions.db"), content, 0o600))
}
