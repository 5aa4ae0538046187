package memory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// lasting returns a session of that id, which lives for so long.
func lasting(t testing.TB, id string, at time.Time, life time.Duration) schema.Session {
	t.Helper()
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: id, CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(life), TTL: life, Revision: 1,
	}, schema.EmptySections())
	require.NoError(t, err)
	return sess
}

// A snapshot is of one moment: of a session that is given one id after another, it
// has exactly one, and of two changes never the later one alone.
func TestSnapshot_ofOneMoment(t *testing.T) {
	ctx, now := t.Context(), schema.Now(time.Now())
	s := memory.New(memory.Options{})
	for n := range 2000 {
		require.NoError(t, s.Create(ctx, now, lasting(t, fmt.Sprintf("quiet-session-%06d", n), now, time.Hour)))
	}
	require.NoError(t, s.Create(ctx, now, lasting(t, "expired-session-00", now, time.Millisecond)))
	const movers = 8
	done := make(chan struct{})
	var running sync.WaitGroup
	for m := range movers {
		sess := lasting(t, fmt.Sprintf("moving-session-%d-%09d", m, 0), now, time.Hour)
		require.NoError(t, s.Create(ctx, now, sess))
		running.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				next := sess.WithID(fmt.Sprintf("moving-session-%d-%09d", m, n))
				if !assert.NoError(t, s.Regenerate(ctx, now, sess, next, now)) {
					return
				}
				sess = next
			}
		})
	}
	for range 50 {
		snapshot := s.Snapshot(now.Add(time.Second))
		moved := map[string]int{}
		quiet := 0
		for sess := range snapshot.Sessions {
			if strings.HasPrefix(sess.ID, "moving") {
				moved[sess.ID[:len("moving-session-0")]]++
			} else {
				quiet++
			}
		}
		require.Equal(t, 2000, quiet)
		require.Len(t, moved, movers)
		for _, n := range moved {
			require.Equal(t, 1, n)
		}
	}
	close(done)
	running.Wait()
}

// It is in the order of uses, so that what is made of it evicts as this one would.
func TestSnapshot_order(t *testing.T) {
	ctx, now := t.Context(), schema.Now(time.Now())
	s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 100})
	for n := range 5 {
		require.NoError(t, s.Create(ctx, now, lasting(t, fmt.Sprintf("session-of-a-test-%d", n), now, time.Hour)))
	}
	_, err := s.Get(ctx, now, backend.Key{Namespace: schema.DefaultNamespace, ID: "session-of-a-test-1"})
	require.NoError(t, err)
	var order string
	for sess := range s.Snapshot(now).Sessions {
		order += sess.ID[len(sess.ID)-1:]
	}
	assert.Equal(t, "02341", order)
}

// For an Additional session nobody has to go.
func TestAdditional(t *testing.T) {
	ctx, now := t.Context(), schema.Now(time.Now())
	for _, policy := range []memory.Policy{memory.LRU, memory.TTL, memory.None} {
		t.Run(string(policy), func(t *testing.T) {
			s := memory.New(memory.Options{Policy: policy, MaxEntries: 4})
			require.NoError(t, s.Create(ctx, now, lasting(t, "brief-session-00000", now, time.Second)))
			for n := range 3 {
				sess := lasting(t, fmt.Sprintf("session-of-a-test-%d", n), now, time.Hour)
				sess.Additional = true
				require.NoError(t, s.Create(ctx, now, sess))
			}
			more := lasting(t, "one-session-too-many", now, 2*time.Hour)
			more.Additional, more.Trusted = true, true
			require.ErrorIs(t, s.Create(ctx, now, more), backend.ErrFull)
			require.ErrorIs(t, s.Create(ctx, now, more, backend.Revive), backend.ErrFull)
			room, err := s.Room(ctx, now)
			require.NoError(t, err)
			assert.Equal(t, backend.Room{Entries: 0, Bytes: -1}, room)
			later := now.Add(time.Second)
			require.NoError(t, s.Create(ctx, later, more), "what has expired makes room")
			st, err := s.Stats(ctx, later)
			require.NoError(t, err)
			assert.EqualValues(t, 4, st.Entries)
			assert.Zero(t, st.Evictions)
		})
	}
}

// BenchmarkSnapshot takes note of 200,000 sessions; how long writers wait for it is
// what it tells beside.
func BenchmarkSnapshot(b *testing.B) {
	now := schema.Now(time.Now())
	s := memory.New(memory.Options{})
	const count = 200_000
	for n := range count {
		if err := s.Create(b.Context(), now, lasting(b, fmt.Sprintf("session-of-a-test-%09d", n), now, time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if s.Snapshot(now).Count != count {
			b.Fatal("not all are there")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/session")
}
