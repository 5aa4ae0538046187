package memory_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// mirror is what a store holds, as far as its events tell.
type mirror struct {
	t *testing.T

	mu   sync.Mutex
	live map[backend.Key]backend.Event // the last of each session
	seen map[backend.EventType]int
}

func (m *mirror) hear(ev backend.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[ev.Type]++
	assert.Empty(m.t, ev.ID)
	was, known := m.live[ev.Session]
	switch ev.Type {
	case backend.EventCreated:
		assert.False(m.t, known, "created twice")
	case backend.EventRegenerated:
		assert.False(m.t, known, "regenerated onto another")
		old := backend.Key{Namespace: ev.Session.Namespace, ID: ev.Previous}
		was, known = m.live[old]
		assert.True(m.t, known, "regenerated from nothing")
		assert.Equal(m.t, was.Revision, ev.Revision)
		delete(m.live, old)
	case backend.EventUpdated:
		assert.True(m.t, known, "updated where there is nothing")
		assert.Equal(m.t, was.Revision+1, ev.Revision)
	case backend.EventClientChanged:
		assert.True(m.t, known, "changed where there is nothing")
		assert.Equal(m.t, was.Revision, ev.Revision)
		assert.NotEqual(m.t, ev.PreviousClient, ev.Client)
	case backend.EventTouched:
		assert.True(m.t, known, "touched where there is nothing")
		assert.Equal(m.t, was.Revision, ev.Revision)
		assert.True(m.t, ev.ExpiresAt.After(was.ExpiresAt))
	default:
		assert.True(m.t, known, "ended twice")
		assert.Equal(m.t, was.Revision, ev.Revision)
		assert.Equal(m.t, was.UserID, ev.UserID)
		delete(m.live, ev.Session)
		return
	}
	m.live[ev.Session] = ev
}

// TestEventsTellWhatIsStored puts a store under load from many goroutines, with
// all that can happen to a session, and compares it with what its events told.
func TestEventsTellWhatIsStored(t *testing.T) {
	for _, policy := range []memory.Policy{memory.LRU, memory.TTL, memory.None} {
		t.Run(string(policy), func(t *testing.T) {
			m := &mirror{t: t, live: map[backend.Key]backend.Event{}, seen: map[backend.EventType]int{}}
			s := memory.New(memory.Options{Policy: policy, MaxEntries: 12, Tombstone: 2 * time.Millisecond, OnEvent: m.hear})
			var running sync.WaitGroup
			for worker := range 8 {
				running.Go(func() {
					for n := range soaktest.Times(500, 1500) {
						act(t, s, worker, now.Add(time.Duration(n/5)*time.Millisecond))
					}
				})
			}
			running.Wait()

			page, err := s.List(t.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, Limit: 100})
			require.NoError(t, err)
			require.Empty(t, page.Next)
			require.Len(t, page.Sessions, len(m.live))
			for _, sess := range page.Sessions {
				last := m.live[sess.Key()]
				assert.Equal(t, sess.Revision, last.Revision)
				assert.Equal(t, sess.ExpiresAt, last.ExpiresAt)
				assert.Equal(t, sess.UserID, last.UserID)
			}
			for _, what := range backend.EventTypes {
				if what == backend.EventEvicted && policy == memory.None {
					continue
				}
				assert.Positive(t, m.seen[what], what)
			}
		})
	}
}

// act does something at random to one of some sessions. Whether it succeeds
// depends on the others.
func act(t *testing.T, s *memory.Store, worker int, at time.Time) {
	t.Helper()
	ctx := t.Context()
	key := backend.Key{Namespace: schema.DefaultNamespace, ID: fmt.Sprintf("a-session-to-act-on-%02d", rand.IntN(40))}
	switch rand.IntN(10) {
	case 0, 1:
		sess := template(t, fmt.Sprintf("user-%d", worker)).WithID(key.ID)
		sess.CreatedAt = at
		sess.TTL = time.Duration(1+rand.IntN(30)) * time.Millisecond
		sess.ExpiresAt = at.Add(sess.TTL)
		_ = s.Create(ctx, at, sess)
	case 2:
		sess := template(t, "").WithID(key.ID)
		sess.CreatedAt = at
		_ = s.Create(ctx, at, sess, backend.Revive)
	case 3, 4:
		if old, err := s.Peek(ctx, at, key); err == nil && old.ID == key.ID {
			next := old
			next.Revision++
			label := []string{"Firefox on Windows", "curl"}[rand.IntN(2)]
			next.Facts = next.Facts.WithClient(schema.Client{Label: label})
			_, _ = s.Swap(ctx, at, old, next)
		}
	case 5, 6:
		_, _ = s.Touch(ctx, at, key, at.Add(time.Hour))
	case 7:
		if old, err := s.Peek(ctx, at, key); err == nil && old.ID == key.ID {
			next := old.WithID(fmt.Sprintf("a-session-to-act-on-%02d", rand.IntN(40)))
			_ = s.Regenerate(ctx, at, old, next, at.Add(time.Millisecond))
		}
	case 8:
		_ = s.Delete(ctx, at, key, 0)
	default:
		switch rand.IntN(10) {
		case 0:
			_, _ = s.Clear(ctx, at, backend.Filter{Namespace: key.Namespace, UserID: "user-1"})
		case 1:
			_, _ = s.Sweep(ctx, at)
		default:
			_, _ = s.Count(ctx, at, backend.Filter{Namespace: key.Namespace})
		}
	}
}
