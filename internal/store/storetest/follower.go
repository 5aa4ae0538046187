package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// patience is how long an event may take to come.
const patience = 2 * time.Minute

// probeNamespace is that of the sessions by which a follower finds out that it
// follows. Their events are nobody's business.
const probeNamespace = "probe"

// follower collects a store's events.
type follower struct {
	t    testing.TB
	stop context.CancelFunc
	done chan struct{} // closed when Follow has returned

	mu     sync.Mutex
	events []backend.Event
	probed bool
	err    error
	more   chan struct{} // has something when there may be more than was looked at
}

// follow returns a follower that gets every event from now on.
func (f *fixture) follow() *follower {
	f.t.Helper()
	fo := f.followFrom("")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		sess := f.created(spec{namespace: probeNamespace})
		require.NoError(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		fo.mu.Lock()
		probed := fo.probed
		fo.mu.Unlock()
		if probed {
			return fo
		}
		select {
		case <-tick.C:
		case <-late:
			require.Fail(f.t, "no event came")
		}
	}
}

// followFrom returns a follower of what comes after that event.
func (f *fixture) followFrom(after string) *follower {
	f.t.Helper()
	return f.followWith(f.ctx(), after, func(backend.Event) error { return nil })
}

// followWith is followFrom with a context, and a function that sees each event
// before it counts.
func (f *fixture) followWith(ctx context.Context, after string, see func(backend.Event) error) *follower {
	f.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	fo := &follower{t: f.t, stop: cancel, done: make(chan struct{}), more: make(chan struct{}, 1)}
	go func() {
		defer close(fo.done)
		err := f.Follow(ctx, after, func(ev backend.Event) error {
			if err := see(ev); err != nil {
				return err
			}
			fo.add(ev)
			return nil
		})
		fo.mu.Lock()
		defer fo.mu.Unlock()
		fo.err = err
	}()
	f.t.Cleanup(func() {
		cancel()
		<-fo.done
	})
	return fo
}

func (fo *follower) add(ev backend.Event) {
	fo.mu.Lock()
	defer fo.mu.Unlock()
	if ev.Session.Namespace == probeNamespace {
		fo.probed = true
		return
	}
	fo.events = append(fo.events, ev)
	select {
	case fo.more <- struct{}{}:
	default:
	}
}

// first waits until there are n events and takes them.
func (fo *follower) first(n int) []backend.Event {
	fo.t.Helper()
	late := time.After(patience)
	for {
		fo.mu.Lock()
		if len(fo.events) >= n {
			taken := fo.events[:n:n]
			fo.events = fo.events[n:]
			fo.mu.Unlock()
			return taken
		}
		have := len(fo.events)
		fo.mu.Unlock()
		select {
		case <-fo.more:
		case <-fo.done:
			require.Failf(fo.t, "the follower is at its end", "%v, with %d of %d events", fo.result(), have, n)
		case <-late:
			require.Failf(fo.t, "an event is missing", "%d of %d came", have, n)
		}
	}
}

// next waits for one event and takes it.
func (fo *follower) next() backend.Event {
	fo.t.Helper()
	return fo.first(1)[0]
}

// result waits until Follow has returned, and returns its error.
func (fo *follower) result() error {
	fo.t.Helper()
	select {
	case <-fo.done:
	case <-time.After(patience):
		require.Fail(fo.t, "Follow does not return")
	}
	fo.mu.Lock()
	defer fo.mu.Unlock()
	return fo.err
}

// event is what a store has to say of a session that is there.
func (f *fixture) event(what backend.EventType, s schema.Session) backend.Event {
	return backend.Event{
		Type: what, At: f.now(), Session: s.Key(),
		UserID: s.UserID, Revision: s.Revision, ExpiresAt: s.ExpiresAt,
	}
}

// deleted is event for one that was ended.
func (f *fixture) deleted(s schema.Session) backend.Event {
	ev := f.event(backend.EventDeleted, s)
	ev.ExpiresAt = time.Time{}
	return ev
}

// requireNext checks what comes next. Times are the same if they show the same.
func (fo *follower) requireNext(want backend.Event) {
	fo.t.Helper()
	got := fo.next()
	require.NotEmpty(fo.t, got.ID)
	same := got
	same.ID = ""
	if got.At.Equal(want.At) && got.ExpiresAt.Equal(want.ExpiresAt) {
		same.At, same.ExpiresAt = want.At, want.ExpiresAt
	}
	require.Equal(fo.t, want, same)
}

// requireNextLost is requireNext for an event of a session that the store may
// know no more of than its key, nor when it happened.
func (fo *follower) requireNextLost(what backend.EventType, s schema.Session) {
	fo.t.Helper()
	got := fo.next()
	require.NotEmpty(fo.t, got.ID)
	require.Equal(fo.t, what, got.Type)
	require.Equal(fo.t, s.Key(), got.Session)
	assert.Contains(fo.t, []string{"", s.UserID}, got.UserID)
	assert.Contains(fo.t, []int64{0, s.Revision}, got.Revision)
	assert.False(fo.t, got.At.IsZero())
	assert.True(fo.t, got.ExpiresAt.IsZero(), "the deadline of a session that is gone")
	assert.Empty(fo.t, got.Previous)
}
