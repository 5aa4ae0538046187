package redis

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// post is the way to a stream that can be blocked and broken.
type post struct {
	open    chan struct{} // blocked until it is closed
	unblock func()        // closes it, once

	mu     sync.Mutex
	broken bool
	got    []string // with "lost" where events are missing
}

func newPost() *post {
	open := make(chan struct{})
	return &post{open: open, unblock: sync.OnceFunc(func() { close(open) })}
}

func (p *post) send(_ context.Context, events [][]string, lost bool) error {
	<-p.open
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return errors.New("broken")
	}
	if lost {
		p.got = append(p.got, "lost")
	}
	for _, event := range events {
		p.got = append(p.got, event[0])
	}
	return nil
}

func (p *post) breaks(broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = broken
}

func (p *post) received() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// startQueue returns an event queue whose way is blocked, and how to end it.
func startQueue(t *testing.T) (o *eventQueue, p *post, end func()) {
	t.Helper()
	p = newPost()
	o = newEventQueue(p.send)
	closed, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { o.run(closed) })
	return o, p, func() {
		stop()
		running.Wait()
	}
}

func TestEventQueueKeepsTheOrder(t *testing.T) {
	o, p, end := startQueue(t)
	const many = 3*publishBatch + 1
	var want []string
	for n := range many {
		o.add([]string{strconv.Itoa(n)})
		want = append(want, strconv.Itoa(n))
	}
	p.unblock()
	require.NoError(t, o.wait(t.Context()))
	assert.Equal(t, want, p.received())
	end()
	assert.Len(t, p.received(), many, "nothing twice")
}

func TestEventQueueSendsWhatIsLeft(t *testing.T) {
	o, p, end := startQueue(t)
	p.unblock()
	for n := range 5000 {
		o.add([]string{strconv.Itoa(n)})
	}
	end()
	assert.Len(t, p.received(), 5000)
}

// Nobody waits for a way that is blocked, and what waits there is bounded.
func TestEventQueueThatOverflows(t *testing.T) {
	o, p, end := startQueue(t)
	for range 3 * maxQueuedEvents {
		o.add([]string{"early"})
	}
	assert.LessOrEqual(t, len(o.queue), maxQueuedEvents)
	for len(o.queue) > 0 { // up to the next overflow
		o.add([]string{"early"})
	}
	o.add([]string{"late"})
	p.unblock()
	require.NoError(t, o.wait(t.Context()))
	got := p.received()
	require.Contains(t, got, "lost")
	assert.Less(t, len(got), maxQueuedEvents+publishBatch)
	assert.Equal(t, []string{"lost", "late"}, got[len(got)-2:], "what is missing is missing before what is not")
	end()
}

func TestEventQueueWhoseWayBreaks(t *testing.T) {
	o, p, end := startQueue(t)
	p.breaks(true)
	p.unblock()
	o.add([]string{"early"})
	require.NoError(t, o.wait(t.Context()), "it is sent or lost")
	p.breaks(false)
	require.Eventually(t, func() bool { return len(p.received()) > 0 }, 30*time.Second, time.Millisecond, "without another event")
	o.add([]string{"late"})
	require.NoError(t, o.wait(t.Context()))
	assert.Equal(t, []string{"lost", "late"}, p.received())
	p.breaks(true)
	o.add([]string{"never"})
	end() // in spite of it
}

func TestEventQueueTurns(t *testing.T) {
	o, _, _ := startQueue(t)
	done, err := o.lockKeys(t.Context(), "b", "a", "b")
	require.NoError(t, err)
	_, err = o.lockKeys(t.Context(), "c")
	require.NoError(t, err, "another's turn")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = o.lockKeys(ctx, "0", "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		_, err := o.lockKeys(t.Context(), "a", "0")
		assert.NoError(t, err, "what was taken in vain was given back")
	}()
	done()
	<-taken

	var none *eventQueue
	none.add([]string{"event"})
	require.NoError(t, none.wait(t.Context()))
	done, err = none.lockKeys(t.Context(), "a")
	require.NoError(t, err)
	done()
}

// openWithQueue opens a store that has an event queue as in a Cluster, but whose
// way is p, on one server.
func openWithQueue(t *testing.T) (*Store, *post) {
	t.Helper()
	s, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{redistest.Start(t).Addr()}, Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p := newPost()
	t.Cleanup(p.unblock) // before the store is closed
	s.events = newEventQueue(p.send)
	s.background.Go(func() { s.events.run(s.closed) })
	return s, p
}

// Whatever changes a session takes its turn, so that events are queued in the
// order of the changes, and waits for nothing else.
func TestChangesTakeTurns(t *testing.T) {
	s, p := openWithQueue(t)
	now := schema.Now(time.Now())
	sess := newSession(t, schema.NewID(), func(sess *schema.Session, _ *schema.Sections) {
		sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt = now, now, now.Add(sess.TTL)
	})
	name := s.keys.Session(sess.Key())
	for _, c := range []struct {
		what   string
		change func(ctx context.Context) error
	}{
		{"created", func(ctx context.Context) error { return s.Create(ctx, now, sess) }},
		{"updated", func(ctx context.Context) error { _, err := s.Swap(ctx, now, sess, sess); return err }},
		{"touched", func(ctx context.Context) error {
			_, err := s.Touch(ctx, now.Add(time.Second), sess.Key(), now.Add(time.Second+sess.TTL))
			return err
		}},
		{"deleted", func(ctx context.Context) error { return s.Delete(ctx, now, sess.Key(), 0) }},
		{"created", func(ctx context.Context) error { return s.Create(ctx, now, sess, backend.Revive) }},
		{"deleted", func(ctx context.Context) error {
			_, err := s.Clear(ctx, now, backend.Filter{Namespace: sess.Namespace})
			return err
		}},
		{"created", func(ctx context.Context) error { return s.Create(ctx, now, sess) }},
		{"regenerated", func(ctx context.Context) error { return s.Regenerate(ctx, now, sess, sess.WithID(schema.NewID()), now) }},
	} {
		done, err := s.events.lockKeys(t.Context(), name)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err = c.change(ctx)
		cancel()
		require.ErrorIs(t, err, backend.ErrUnavailable, c.what)
		done()
		require.NoError(t, c.change(t.Context()), c.what)
	}
	p.unblock()
	require.NoError(t, s.events.wait(t.Context()))
	assert.Equal(t, []string{"created", "updated", "touched", "deleted", "created", "deleted", "created", "regenerated"}, p.received())
}

// Who follows from now on does not hear of what was done here before.
func TestFollowersComeAfterWhatIsQueued(t *testing.T) {
	s, p := openWithQueue(t)
	client, err := s.client()
	require.NoError(t, err)
	s.events.add([]string{"early"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.lastEvent(ctx, client)
	require.ErrorIs(t, err, backend.ErrUnavailable)
	p.unblock()
	_, err = s.lastEvent(t.Context(), client)
	require.NoError(t, err)
	assert.Equal(t, []string{"early"}, p.received())
}
