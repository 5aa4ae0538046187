package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// stream is the key of the events.
const stream = "session:#events"

// probes are sessions by which a follower finds out that it follows.
const probes = "probes"

// following is a Follow under way, without the events of probes.
type following struct {
	t      testing.TB
	events chan backend.Event
	probed chan struct{} // has something once a probe was seen
	err    chan error
	stop   context.CancelFunc
}

// followAfter follows what comes after that event.
func followAfter(t testing.TB, s backend.Store, after string) *following {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &following{t: t, events: make(chan backend.Event, 10_000), probed: make(chan struct{}, 1), err: make(chan error, 1), stop: stop}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.err <- s.Follow(ctx, after, func(ev backend.Event) error {
			if ev.Session.Namespace != probes {
				f.events <- ev
				return nil
			}
			select {
			case f.probed <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return f
}

// follow follows what comes from now on.
func follow(t testing.TB, s backend.Store) *following {
	t.Helper()
	f := followAfter(t, s, "")
	now := schema.Now(ahead().Now())
	require.Eventually(t, func() bool {
		create(t, s, now, spec{namespace: probes})
		return len(f.probed) > 0
	}, patience, 10*time.Millisecond)
	return f
}

// next returns the next event.
func (f *following) next() backend.Event {
	f.t.Helper()
	select {
	case ev := <-f.events:
		return ev
	case err := <-f.err:
		require.Fail(f.t, "it has ended", "%v", err)
	case <-time.After(patience):
		require.Fail(f.t, "no event comes")
	}
	return backend.Event{}
}

// result returns what Follow returned.
func (f *following) result() error {
	f.t.Helper()
	select {
	case err := <-f.err:
		return err
	case <-time.After(patience):
		require.Fail(f.t, "it does not end")
		return nil
	}
}

// brought is what there is to say of an event in one line.
func brought(ev backend.Event) string {
	return fmt.Sprintf("%s %s/%s of %s, revision %d", ev.Type, ev.Session.Namespace, ev.Session.ID, ev.UserID, ev.Revision)
}

func TestFollowersHearOfEveryInstance(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server, withCompression)
	now := schema.Now(ahead().Now())
	f, g := follow(t, one), follow(t, other)
	sess := create(t, one, now, spec{namespace: "shop", user: "ada"})
	next := revised(t, now, sess, spec{user: "bob", note: "of the other instance"})
	_, err := other.Swap(t.Context(), now, sess, next)
	require.NoError(t, err)
	require.NoError(t, one.Delete(t.Context(), now, sess.Key(), 0))
	key := "shop/" + sess.ID
	want := []string{
		"created " + key + " of ada, revision 1",
		"updated " + key + " of bob, revision 2",
		"deleted " + key + " of bob, revision 2",
	}
	var ids []string
	for _, text := range want {
		ev := f.next()
		assert.Equal(t, text, brought(ev))
		assert.Equal(t, ev, g.next(), "under the same ID, too")
		ids = append(ids, ev.ID)
	}
	// So a client may go on at another instance than it came from.
	resumed := followAfter(t, other, ids[0])
	assert.Equal(t, want[1], brought(resumed.next()))
	assert.Equal(t, want[2], brought(resumed.next()))
	third := open(t, server)
	resumed = followAfter(t, third, ids[2])
	sess = create(t, one, now, spec{})
	assert.Equal(t, sess.Key(), resumed.next().Session)
}

// Whoever the user is, and however the document is stored, events name him.
func TestEventsNameTheUser(t *testing.T) {
	server := redistest.Start(t)
	for name, change := range map[string]func(*redis.Options){
		"plain":           func(*redis.Options) {},
		"compressed":      withCompression,
		"another prefix":  withPrefix("app/v1.sess_2-"),
		"one with colons": withPrefix("a:b:"),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, server, change)
			now := schema.Now(ahead().Now())
			f := follow(t, s)
			for _, user := range []string{
				"", "ada", `"`, `\`, `\"`, `"}\\`, "ünïcödé 用户", "<&>\u2028", `","revision":7,"user":{"id":"eve"`, `\u0041`,
			} {
				sess := newSession(t, now, spec{user: user, note: `"revision":7,"user":{"id":"eve"}`})
				require.NoError(t, s.Create(t.Context(), now, sess))
				_, err := s.Touch(t.Context(), now.Add(time.Second), sess.Key(), now.Add(time.Second+hour))
				require.NoError(t, err)
				next := revised(t, now, sess, spec{user: user})
				_, err = s.Swap(t.Context(), now, sess, next)
				require.NoError(t, err)
				after := next.WithID(schema.NewID())
				require.NoError(t, s.Regenerate(t.Context(), now, next, after, now))
				require.NoError(t, s.Delete(t.Context(), now, after.Key(), 0))
				for _, want := range []backend.EventType{
					backend.EventCreated, backend.EventTouched, backend.EventUpdated, backend.EventRegenerated, backend.EventDeleted,
				} {
					ev := f.next()
					assert.Equal(t, want, ev.Type)
					assert.Equal(t, user, ev.UserID, want)
				}
			}
		})
	}
}

func TestEventsOfOneSessionAreInOrder(t *testing.T) {
	t.Run("of two instances", func(t *testing.T) {
		server := redistest.Start(t)
		testOrder(t, open(t, server), open(t, server))
	})
	t.Run("on a Cluster", func(t *testing.T) {
		s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: redistest.StartCluster(t).Addrs(), Cluster: true}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		testOrder(t, s, s)
	})
}

// testOrder changes a few sessions from many sides until they are ended.
func testOrder(t *testing.T, instances ...*redis.Store) {
	t.Helper()
	now := schema.Now(ahead().Now())
	f := follow(t, instances[0])
	const sessions, changes = 4, 30
	keys := map[backend.Key]bool{}
	var running sync.WaitGroup
	for range sessions {
		sess := create(t, instances[0], now, spec{})
		keys[sess.Key()] = true
		for i := range 6 {
			s := instances[i%2]
			running.Go(func() {
				for n := time.Duration(0); ; n++ {
					cur, err := s.Peek(t.Context(), now, sess.Key())
					if err == nil && cur.Revision > changes {
						err = s.Delete(t.Context(), now, sess.Key(), 0)
					}
					if err == nil && i < 2 {
						_, err = s.Touch(t.Context(), now.Add(n), sess.Key(), now.Add(n+hour))
					} else if err == nil {
						_, err = s.Swap(t.Context(), now, cur, revised(t, now, cur, spec{}))
					}
					if errors.Is(err, backend.ErrNotFound) {
						return
					}
					if err != nil {
						assert.ErrorIs(t, err, backend.ErrConflict)
					}
				}
			})
		}
	}
	running.Wait()
	last := map[backend.Key]backend.Event{}
	for ended := 0; ended < sessions; {
		ev := f.next()
		require.True(t, keys[ev.Session])
		before, seen := last[ev.Session]
		require.Equal(t, ev.Type == backend.EventCreated, !seen)
		require.NotEqual(t, backend.EventDeleted, before.Type, "nothing after the end")
		switch ev.Type {
		case backend.EventUpdated:
			require.Equal(t, before.Revision+1, ev.Revision)
		case backend.EventTouched:
			require.Equal(t, before.Revision, ev.Revision)
			require.True(t, ev.ExpiresAt.After(before.ExpiresAt))
		case backend.EventDeleted:
			require.Equal(t, before.Revision, ev.Revision)
			ended++
		}
		last[ev.Session] = ev
	}
}

// Sessions whose time has come are freed by Redis. Of several sweeps one tells.
func TestSessionsThatRedisFreedAreToldOfOnce(t *testing.T) {
	server := redistest.Start(t)
	instances := []*redis.Store{open(t, server), open(t, server)}
	f := follow(t, instances[0])
	now := schema.Now(time.Now())
	sess := create(t, instances[0], now, spec{user: "ada", ttl: 50 * time.Millisecond})
	require.Equal(t, backend.EventCreated, f.next().Type)
	require.Eventually(t, func() bool { return server.CLI("EXISTS", "session:"+sess.ID) == "0" }, patience, time.Millisecond)
	together(8, func(i int) {
		_, err := instances[i%2].Sweep(t.Context(), sess.ExpiresAt)
		assert.NoError(t, err)
	})
	ev := f.next()
	assert.Equal(t, "expired default/"+sess.ID+" of ada, revision 0", brought(ev))
	assert.True(t, ev.ExpiresAt.IsZero())
	marker := create(t, instances[0], now, spec{})
	assert.Equal(t, marker.Key(), f.next().Session, "and that was all")
}

func TestOnlySoManyEventsAreKept(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server, func(o *redis.Options) { o.Events = 100 })
	now := schema.Now(ahead().Now())
	f := follow(t, s)
	create(t, s, now, spec{})
	id := f.next().ID
	for range 600 {
		create(t, s, now, spec{})
	}
	length, err := strconv.Atoi(server.CLI("XLEN", stream))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, length, 100)
	assert.Less(t, length, 300)
	require.ErrorIs(t, followAfter(t, s, id).result(), backend.ErrEventsLost)
}

// Nothing is written where nobody follows, and what was written goes.
func TestEventsCostNothingWithoutAFollower(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	exercise(t, s)
	assert.Equal(t, "0", server.CLI("EXISTS", stream))
	follow(t, s).stop()
	ttl, err := strconv.Atoi(server.CLI("TTL", stream))
	require.NoError(t, err)
	assert.InDelta(t, time.Hour.Seconds(), ttl, 60)
	server.CLI("DEL", stream)
	exercise(t, s)
	assert.Equal(t, "0", server.CLI("EXISTS", stream))
}

func TestAServerThatDiesUnderAFollower(t *testing.T) {
	t.Run("and keeps what it had", func(t *testing.T) {
		server := redistest.Start(t, redistest.AppendOnly("always"))
		s := open(t, server, brief)
		awaitConnected(t, s)
		f := follow(t, s)
		now := schema.Now(ahead().Now())
		sess := create(t, s, now, spec{})
		seen := f.next()
		next := revised(t, now, sess, spec{})
		_, err := s.Swap(t.Context(), now, sess, next)
		require.NoError(t, err)
		began := time.Now()
		server.Kill()
		require.ErrorIs(t, f.result(), backend.ErrUnavailable)
		soaktest.Within(t, time.Since(began), impatience)
		server.Restart()
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
		assert.Equal(t, "updated default/"+sess.ID+" of , revision 2", brought(followAfter(t, s, seen.ID).next()))
	})
	t.Run("and forgets", func(t *testing.T) {
		server := redistest.Start(t)
		s := open(t, server, brief)
		awaitConnected(t, s)
		f := follow(t, s)
		now := schema.Now(ahead().Now())
		create(t, s, now, spec{})
		seen := f.next()
		server.Kill()
		require.ErrorIs(t, f.result(), backend.ErrUnavailable)
		server.Restart()
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
		require.ErrorIs(t, followAfter(t, s, seen.ID).result(), backend.ErrEventsLost)
		f = follow(t, s)
		require.ErrorIs(t, followAfter(t, s, seen.ID).result(), backend.ErrEventsLost, "nor after there are others")
		sess := create(t, s, now, spec{})
		assert.Equal(t, sess.Key(), f.next().Session)
	})
	t.Run("and says nothing", func(t *testing.T) {
		server := redistest.Start(t)
		s := open(t, server, brief)
		awaitConnected(t, s)
		f := follow(t, s)
		began := time.Now()
		server.Pause()
		require.ErrorIs(t, f.result(), backend.ErrUnavailable)
		soaktest.Within(t, time.Since(began), 2*briefly+impatience)
		server.Resume()
	})
}

// A follower that has nothing to do is there for nobody.
func TestAnIdleFollowerEndsAtOnce(t *testing.T) {
	server := redistest.Start(t)
	slow := func(o *redis.Options) { o.Timeout = patience }
	s := open(t, server, slow)
	f := follow(t, s)
	began := time.Now()
	f.stop()
	require.ErrorIs(t, f.result(), context.Canceled)
	assert.Less(t, time.Since(began), patience-5*time.Second)

	closing, err := redis.Open(t.Context(), optionsAt(server.Addr(), slow))
	require.NoError(t, err)
	f = follow(t, closing)
	began = time.Now()
	require.NoError(t, closing.Close())
	require.ErrorIs(t, f.result(), backend.ErrUnavailable)
	assert.Less(t, time.Since(began), patience-5*time.Second)
}

// What no store wrote into the stream is passed over; that events are missing
// is not.
func TestEntriesOfOthersInTheStream(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := schema.Now(ahead().Now())
	f := follow(t, s)
	id := schema.NewID()
	for _, entry := range [][]string{
		{"a", "b"},
		{"type", "started", "at", "1", "session", "session:" + id, "revision", "1"},
		{"type", "created", "at", "x", "session", "session:" + id, "revision", "1"},
		{"type", "created", "at", "1", "session", "other:" + id, "revision", "1"},
		{"type", "created", "at", "1", "session", "session:a b", "revision", "1"},
		{"type", "created", "at", "1", "session", "session:" + id, "revision", ""},
		{"type", "created", "at", "1", "session", "session:" + id, "revision", "1", "expires", "-1"},
	} {
		server.CLI(append([]string{"XADD", stream, "*"}, entry...)...)
	}
	sess := create(t, s, now, spec{})
	assert.Equal(t, sess.Key(), f.next().Session)
	server.CLI("XADD", stream, "*", "type", "lost")
	require.ErrorIs(t, f.result(), backend.ErrEventsLost)

	// Nor do sessions suffer from something else under the key.
	_, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	server.CLI("SET", stream, "something else")
	exercise(t, s)
	require.ErrorIs(t, s.Follow(t.Context(), "", nil), backend.ErrUnavailable)
	require.ErrorIs(t, s.Follow(t.Context(), "1-1", nil), backend.ErrUnavailable)
}

// On a Cluster an instance sends its events behind its writers' backs, but not
// after it was closed.
func TestEventsOfAnInstanceThatIsClosed(t *testing.T) {
	cluster := redistest.StartCluster(t)
	opts := redis.Options{Server: conn.Server{Addresses: cluster.Addrs(), Cluster: true}}
	s, err := redis.Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	now := schema.Now(ahead().Now())
	f := follow(t, s)
	leaving, err := redis.Open(t.Context(), opts)
	require.NoError(t, err)
	const many = 500
	want := map[backend.Key]bool{}
	var mu sync.Mutex
	together(10, func(int) {
		for range many / 10 {
			sess := create(t, leaving, now, spec{user: "ada"})
			mu.Lock()
			want[sess.Key()] = true
			mu.Unlock()
		}
	})
	require.NoError(t, leaving.Close())
	for range many {
		ev := f.next()
		assert.Equal(t, backend.EventCreated, ev.Type)
		assert.True(t, want[ev.Session], "once each")
		delete(want, ev.Session)
	}
	n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	require.Equal(t, many, n)
	for range many {
		assert.Equal(t, backend.EventDeleted, f.next().Type)
	}
}
