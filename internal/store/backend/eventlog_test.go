package backend_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

// publish adds events whose revisions are from and what follows.
func publish(l *backend.EventLog, from, to int64) {
	for n := from; n <= to; n++ {
		l.Publish(&backend.Event{Type: backend.EventUpdated, Revision: n})
	}
}

var errEnough = errors.New("enough")

// take follows until n events have come.
func take(t *testing.T, l *backend.EventLog, after string, n int) (revisions []int64, ids []string, err error) {
	t.Helper()
	err = l.Follow(t.Context(), after, func(ev backend.Event) error {
		revisions, ids = append(revisions, ev.Revision), append(ids, ev.ID)
		if len(ids) == n {
			return errEnough
		}
		return nil
	})
	return revisions, ids, err
}

// begin makes a log of that size which somebody follows, with one event, and
// returns the event's ID.
func begin(t *testing.T, size int) (*backend.EventLog, string) {
	t.Helper()
	l := backend.NewEventLog(size)
	var first string
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, ids, err := take(t, l, "", 1)
			assert.ErrorIs(t, err, errEnough)
			first = ids[0]
		}()
		synctest.Wait()
		publish(l, 1, 1)
		<-done
	})
	return l, first
}

func TestEventLog(t *testing.T) {
	t.Run("as many as it has room for", func(t *testing.T) {
		for _, size := range []int64{1, 2, 10, 64, 100, 200} {
			l, first := begin(t, int(size))
			publish(l, 2, 1+size) // the first is the one that falls out
			want := []int64{}
			for n := int64(2); n <= 1+size; n++ {
				want = append(want, n)
			}
			revisions, ids, err := take(t, l, first, int(size))
			require.ErrorIs(t, err, errEnough)
			assert.Equal(t, want, revisions)
			seen := map[string]bool{first: true}
			for i, id := range ids {
				assert.False(t, seen[id], "an ID of its own")
				seen[id] = true
				if i+1 < len(ids) {
					rest, _, err := take(t, l, id, len(ids)-i-1)
					require.ErrorIs(t, err, errEnough)
					assert.Equal(t, revisions[i+1:], rest)
				}
			}
			publish(l, 2+size, 2+size)
			_, _, err = take(t, l, first, 1)
			require.ErrorIs(t, err, backend.ErrEventsLost, "one more, and it is too late")
			_, _, err = take(t, l, ids[0], 1)
			require.ErrorIs(t, err, errEnough)
		}
	})

	t.Run("IDs of its own only", func(t *testing.T) {
		l, first := begin(t, 10)
		_, other := begin(t, 10)
		publish(l, 2, 5)
		name := first[:len(first)-1]
		require.Equal(t, name+"0", first)
		for _, id := range []string{
			other, name, name + "5", name + "00", name + "+1", name + "-1", name + "99999999999999999999", " " + first, "0",
			name + strconv.FormatUint(1<<64-1, 10),
		} {
			_, _, err := take(t, l, id, 1)
			require.ErrorIs(t, err, backend.ErrEventsLost, id)
		}
	})

	t.Run("waits for the next event", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := backend.NewEventLog(100)
			ctx, cancel := context.WithCancel(t.Context())
			var got [3]int64
			for i := range got {
				go func() {
					err := l.Follow(ctx, "", func(ev backend.Event) error { got[i] = ev.Revision; return nil })
					assert.Equal(t, context.Canceled, err)
				}()
			}
			for n := range int64(5) {
				synctest.Wait()
				assert.Equal(t, [3]int64{n, n, n}, got)
				publish(l, n+1, n+1)
			}
			cancel()
			synctest.Wait()
		})
	})

	t.Run("is told nothing that came before its first follower", func(t *testing.T) {
		l := backend.NewEventLog(10)
		publish(l, 1, 5)
		synctest.Test(t, func(t *testing.T) {
			go func() {
				revisions, _, err := take(t, l, "", 1)
				assert.ErrorIs(t, err, errEnough)
				assert.Equal(t, []int64{6}, revisions)
			}()
			synctest.Wait()
			publish(l, 6, 6)
			synctest.Wait()
		})
	})

	t.Run("nobody waits for a follower", func(t *testing.T) {
		l, first := begin(t, 10)
		publish(l, 2, 2)
		seen := []int64{}
		err := l.Follow(t.Context(), first, func(ev backend.Event) error {
			if seen = append(seen, ev.Revision); len(seen) == 1 {
				publish(l, 3, 100)
			}
			return nil
		})
		require.ErrorIs(t, err, backend.ErrEventsLost)
		assert.Equal(t, []int64{2}, seen)
	})

	t.Run("called off between two events", func(t *testing.T) {
		l, first := begin(t, 10)
		publish(l, 2, 9)
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		err := l.Follow(ctx, first, func(backend.Event) error {
			seen++
			cancel()
			return nil
		})
		require.Equal(t, context.Canceled, err)
		assert.Equal(t, 1, seen)
	})

	t.Run("publishing copies the ids, and nothing else", func(t *testing.T) {
		l, first := begin(t, 10)
		ev := &backend.Event{
			Type: backend.EventRegenerated, Session: backend.Key{Namespace: "a-namespace", ID: "the-id"}, Previous: "the-id-before",
		}
		l.Publish(ev)
		err := l.Follow(t.Context(), first, func(got backend.Event) error {
			assert.Equal(t, ev.Session, got.Session)
			assert.Equal(t, ev.Previous, got.Previous)
			return errEnough
		})
		require.ErrorIs(t, err, errEnough)
		publish(l, 2, 20)
		assert.InDelta(t, 1, testing.AllocsPerRun(100, func() { l.Publish(ev) }), 0)
	})
}

func TestEventTypes(t *testing.T) {
	seen := map[backend.EventType]bool{}
	for _, what := range backend.EventTypes {
		assert.Regexp(t, `^[a-z_]+$`, string(what))
		assert.False(t, seen[what], "once each: %s", what)
		seen[what] = true
	}
	assert.Len(t, seen, 8)
}

func TestReadOnlyIsAKindOfUnavailable(t *testing.T) {
	require.ErrorIs(t, backend.ErrReadOnly, backend.ErrUnavailable)
}
