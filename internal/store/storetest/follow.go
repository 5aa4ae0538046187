package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// written makes n events of a session: one for each change.
func (f *fixture) written(sess schema.Session, n int) schema.Session {
	f.t.Helper()
	for range n {
		next := f.revised(sess, spec{})
		_, err := f.Swap(f.ctx(), f.now(), sess, next)
		require.NoError(f.t, err)
		sess = next
	}
	return sess
}

// bySession returns the events of each session in the order in which they came.
func bySession(events []backend.Event) map[backend.Key][]backend.Event {
	by := map[backend.Key][]backend.Event{}
	for _, ev := range events {
		by[ev.Session] = append(by[ev.Session], ev)
	}
	return by
}

func testFollow(t *testing.T, open Open) {
	t.Run("from now on", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.written(f.created(spec{}), 3)
		fo := f.follow()
		sess = f.written(sess, 1)
		fo.requireNext(f.event(backend.EventUpdated, sess))
	})

	t.Run("after any event", func(t *testing.T) {
		f := newFixture(t, open)
		fo := f.follow()
		for n := range 3 {
			f.written(f.created(spec{id: testID(n)}), 4)
		}
		all := fo.first(15)
		for k, ev := range all {
			rest := bySession(all[k+1:])
			got := f.followFrom(ev.ID).first(len(all) - k - 1)
			assert.Equal(t, rest, bySession(got), "after event %d", k)
		}
		last := f.followFrom(all[14].ID)
		sess := f.created(spec{})
		last.requireNext(f.event(backend.EventCreated, sess))
	})

	t.Run("each follower gets all", func(t *testing.T) {
		f := newFixture(t, open)
		followers := []*follower{f.follow(), f.follow(), f.follow()}
		sess := f.written(f.created(spec{}), 200)
		for _, fo := range followers {
			events := fo.first(201)
			for n, ev := range events {
				require.Equal(t, sess.Key(), ev.Session)
				require.EqualValues(t, n+1, ev.Revision)
			}
		}
	})

	t.Run("until yield has had enough", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.follow()
		sess := f.created(spec{})
		first := start.next()
		f.written(sess, 5)
		enough := errors.New("enough")
		fo := f.followWith(f.ctx(), first.ID, func(ev backend.Event) error {
			if ev.Revision > 3 {
				return enough
			}
			return nil
		})
		require.Equal(t, enough, fo.result())
		assert.Len(t, fo.first(2), 2)
		assert.Empty(t, fo.events)
	})

	t.Run("until it is called off", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.follow()
		sess := f.created(spec{})
		first := start.next()
		f.written(sess, 100)

		idle := f.follow()
		ctx, cancel := context.WithCancel(f.ctx())
		busy := f.followWith(ctx, first.ID, func(ev backend.Event) error {
			if ev.Revision == 10 {
				cancel()
			}
			return nil
		})
		require.ErrorIs(t, busy.result(), context.Canceled)
		assert.Len(t, busy.events, 9, "up to when it was called off")
		idle.stop()
		require.ErrorIs(t, idle.result(), context.Canceled)
		require.ErrorIs(t, f.Follow(ctx, "", func(backend.Event) error { return nil }), context.Canceled)
	})

	t.Run("not after an event that there never was", func(t *testing.T) {
		f := newFixture(t, open)
		start := f.follow()
		f.created(spec{})
		id := start.next().ID
		for _, after := range []string{"nonsense", "-", "0", "0-0-0", id + "x", "x" + id, "-1", testID(1)} {
			require.ErrorIs(t, f.followFrom(after).result(), backend.ErrEventsLost, after)
		}
	})
}
